"""The shape of the source: sizes, annotations, names, words, and where the environment is read."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BANNED_NAMES = {"utils", "helpers", "common", "misc", "base", "core", "manager", "data"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

MODULE_LINES, MEDIAN_LINES = 500, 150
FUNCTION_LINES, FUNCTION_P90 = 80, 30

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file, read and parsed."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def functions(self) -> Iterator[Function]:
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


@cache
def _modules(*folders: str) -> tuple[Module, ...]:
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT)
            if "ComfyUI" not in name.parts:
                text = path.read_text("utf-8")
                found.append(Module(name.as_posix(), text, ast.parse(text)))
    return tuple(found)


def _length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def test_modules_are_small() -> None:
    """No module is longer than 500 lines, and half of them are shorter than 150."""
    modules = [module for module in _modules("backend", "scripts") if module.lines]
    assert [f"{m.name}: {m.lines}" for m in modules if m.lines > MODULE_LINES] == []
    assert statistics.median(module.lines for module in modules) <= MEDIAN_LINES


def test_functions_are_small() -> None:
    """No function is longer than 80 lines, and nine of ten are shorter than 30."""
    lengths = {
        f"{module.name}:{function.lineno} {function.name}": _length(function)
        for module in _modules("backend", "scripts")
        for function in module.functions()
    }
    assert {name: long for name, long in lengths.items() if long > FUNCTION_LINES} == {}
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= FUNCTION_P90


def _bare(function: Function) -> bool:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    every += [extra for extra in (given.vararg, given.kwarg) if extra]
    named = [argument for argument in every if argument.arg not in ("self", "cls")]
    return function.returns is None or any(argument.annotation is None for argument in named)


def test_everything_is_annotated() -> None:
    """Every parameter and every result has a type."""
    bare = [
        f"{module.name}:{function.lineno} {function.name}"
        for module in _modules("backend", "scripts")
        for function in module.functions()
        if _bare(function)
    ]
    assert bare == []


def test_modules_have_the_fields_names() -> None:
    """No module is called after nothing in particular."""
    parts = {part for module in _modules("backend", "scripts") for part in Path(module.name).parts}
    assert {part.removesuffix(".py") for part in parts} & BANNED_NAMES == set()


def test_modules_say_what_they_know() -> None:
    """Every module opens with a sentence, then with what it knows and does not know."""
    silent = []
    for module in _modules("backend"):
        words = ast.get_docstring(module.tree) or ""
        needed = [] if module.name.endswith("__init__.py") else ["Knows", "not know"]
        if not words or not all(part in words for part in needed):
            silent.append(module.name)
    assert silent == []


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return ast.unparse(node.value) == "os" and node.attr in ENVIRONMENT
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in ENVIRONMENT for alias in node.names)
    return False


def test_only_the_settings_read_the_environment() -> None:
    """config.py is the one module of the service that reads or changes the environment."""
    readers = [
        module.name
        for module in _modules("backend")
        if any(_reads_environment(node) for node in ast.walk(module.tree))
    ]
    assert readers == ["backend/config.py"]


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring of one sentence or more, and each test module one of its own."""
    silent = []
    for module in _modules("tests"):
        if not Path(module.name).name.startswith("test_"):
            continue
        if not ast.get_docstring(module.tree):
            silent.append(module.name)
        silent += [
            f"{module.name}:{function.lineno} {function.name}"
            for function in module.functions()
            if function.name.startswith("test_") and not ast.get_docstring(function)
        ]
    assert silent == []


NEED_A_BROWSER = (
    "tests/editor/conftest.py",
    "tests/scripts/test_conversion.py",
    "tests/studio/conftest.py",
)
"""Where tests are skipped on a machine without Chromium; the continuous integration has it."""


def test_no_test_is_skipped() -> None:
    """A test runs everywhere or does not exist, but for those that need a browser."""
    marks = {"skip", "skipif", "xfail", "importorskip"}
    skipped = [
        f"{module.name}:{node.lineno}"
        for module in _modules("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in marks
        and ast.unparse(node.value) in ("pytest", "pytest.mark")
    ]
    assert [each.partition(":")[0] for each in skipped] == list(NEED_A_BROWSER)
