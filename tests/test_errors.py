"""The error tree is complete, unambiguous and safe to show."""

from __future__ import annotations

from backend.errors import (
    FieldError,
    InvalidParameters,
    KinoError,
    RequestRefused,
    problem_classes,
    said_by,
)


def test_slugs_are_unique_and_drawn() -> None:
    """Every class has a slug of its own, and the drawing in the docstring names it."""
    import backend.errors as module

    slugs = [cls.slug for cls in problem_classes()]
    assert len(slugs) == len(set(slugs))
    for cls in problem_classes():
        if cls is not KinoError:
            assert cls.__name__ in (module.__doc__ or "")


def test_a_problem_names_field_and_rule() -> None:
    """The problem object carries status, sentence, remedy and each broken rule."""
    error = InvalidParameters(
        "no", errors=[FieldError("/a", "less_than", "too big")], remedy="smaller"
    )
    assert error.as_problem() == {
        "type": "/v1/problems/invalid-parameters",
        "title": "A parameter breaks a rule",
        "status": 422,
        "detail": "no",
        "retryable": False,
        "remedy": "smaller",
        "errors": [{"pointer": "/a", "rule": "less_than", "message": "too big"}],
    }


def test_extra_never_overrides_the_standard_members() -> None:
    """An extension member cannot pretend to be another status."""
    assert InvalidParameters("no", extra={"status": 200}).as_problem()["status"] == 422


def test_a_refused_request_keeps_its_status() -> None:
    """The HTTP layer's own statuses travel in the same form."""
    assert RequestRefused(405, "no").as_problem()["status"] == 405


def test_an_exception_that_cannot_speak_says_nothing() -> None:
    """Foreign exceptions are asked what is wrong; one whose answer raises, or ends the program, is
    passed over."""

    class Speechless(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert said_by(Speechless()) == ""
    assert said_by(ValueError("too high")) == "too high"
