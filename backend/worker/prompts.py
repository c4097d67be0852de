"""A stock client's prompt in the worker: run, put on record, and only then told to have ended.

Knows: the ``run`` message of a prompt, the host call ``prompt.done``, and ComfyUI's server here.
Does not know: how the executor runs it (`bricks.prompt_run`), or what the ledger keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from backend.context import Cancelled, Context, scratch_in
from backend.media import codecs
from backend.services import invocation
from backend.wire import Message
from backend.worker.outbox import Outbox
from backend.worker.run import Reports

if TYPE_CHECKING:
    from backend.bricks.prompt_run import Ended, PromptRunner
    from backend.bricks.server import Host
    from backend.config import Settings
    from backend.media.reference import MediaValue
    from backend.worker.calls import Calls

OPERATION: Final = "comfyui.prompt"
_RECORD_S: Final = 60.0


class Prompts:
    """ComfyUI's server, and the prompts that it let in."""

    def __init__(self, calls: Calls, runner: PromptRunner, host: Host) -> None:
        self._calls = calls
        self._runner = runner
        self._host = host

    @classmethod
    def start(
        cls,
        settings: Settings,
        calls: Calls,
        between: Callable[[Callable[[], None]], None],
        web_folders: Mapping[str, Path],
    ) -> tuple[Prompts, Message]:
        """Serve stock clients from now on; also gives the server's private address.

        *web_folders* are what plugins show in the graph editor, by the plugin's name.
        """
        from backend.bricks import editor, lane, prompt_run, server

        editor.add(web_folders)
        runner = prompt_run.PromptRunner(lane.current())
        host = server.Host(calls.call, between, runner)
        return cls(calls, runner, host), host.start(settings.comfyui_base)

    def counted(self, remaining: int) -> None:
        """The service says how many prompts wait or run."""
        self._host.queue.counted(remaining)

    def stop(self) -> None:
        self._host.stop()

    def run(self, message: Message, outbox: Outbox, is_cancelled: Callable[[], bool]) -> Message:
        """Run the prompt of a ``run`` message; return the fields of its ``done`` message."""
        about = {"job": message["job"], "attempt": message["attempt"]}
        reports = Reports(message["job"], outbox)
        context = Context(reports.progress, reports.preview, reports.log, is_cancelled)
        try:
            with scratch_in(Path(message["scratch"])):
                ended = self._run(message, context)
                return {**about, **self._record(about, message, ended)}
        except Cancelled:
            return {**about, "state": "cancelled"}
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - foreign code; `problem_of` logs it
            problem = invocation.problem_of(error)
            failed = {"state": "failed", "problem": problem, "retryable": problem["retryable"]}
            return {**about, **failed}

    def _run(self, message: Message, context: Context) -> Ended:
        from backend.bricks.prompt_run import Prompt

        params = message["params"]
        prompt = Prompt(
            params["prompt_id"],
            params["prompt"],
            {**params["extra_data"], **params["sensitive"]},
            params["outputs"],
        )
        if params["awaits_client"]:
            self._host.await_client(params["extra_data"]["client_id"])
        assets = {name: _opened(file) for name, file in message["files"].items()}
        return self._runner.run(prompt, assets, message["job"], context)

    def _record(self, about: Message, message: Message, ended: Ended) -> Message:
        """Put the end on record, then tell the client. Where the service has other plans with the
        attempt, it is the service that tells."""
        folder = Path(message["scratch"])
        saved = {
            f"saved_{number}": codecs.store(
                cast("MediaValue", item.value), folder, f"saved_{number}", small=invocation.SMALL
            ).as_leaf()
            for number, item in enumerate(ended.saved, 1)
        }
        problem = None if ended.error is None else ended.error.as_problem()
        data: dict[str, Any] = {
            **about,
            "state": ended.state,
            "history": invocation.readable(ended.history),
            "saved": saved,
            "problem": problem,
        }
        answer = self._calls.call("prompt.done", data, _RECORD_S)
        if answer["recorded"]:
            self._host.ended(message["params"]["prompt_id"], answer["remaining"])
        if ended.state == "failed":
            return {"state": "failed", "problem": problem, "retryable": False}
        return {"state": ended.state, "result": {}}


def _opened(file: Message) -> MediaValue:
    return codecs.opener(
        file["kind"], Path(file["path"]), media_type=file.get("media_type"), name=file.get("name")
    )
