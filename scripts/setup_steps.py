"""The steps of the set-up, shared by start.py and test.py: environment, uv, packages.

Knows: how to do each step once, to find out that it is done, and what to say if it fails.
Does not know: ComfyUI (comfyui.py) and the service (start.py). Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
UV: Final = "uv>=0.9,<1"

OFFLINE: Final = (
    "Could not resolve",
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "No route to host",
    "Connection refused",
    "connect timeout",
    "timed out",
    "dns error",
    "Failed to fetch",
    "error sending request",
    "from versions: none",
)


class Stop(Exception):
    """The set-up cannot go on. Its text is one sentence with the remedy."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"  … {name}", flush=True)
    started = time.monotonic()
    yield
    print(f"  ✓ {name} ({time.monotonic() - started:.1f} s)", flush=True)


def done(name: str) -> None:
    """Say that a step was done earlier."""
    print(f"  ✓ {name}", flush=True)


def main_guard(main: object) -> None:
    """Run *main*; a `Stop` becomes one line on stderr and exit status 1, Ctrl-C becomes 130."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        assert callable(main)
        status = main()
    except Stop as stop:
        print(f"Kino: {stop}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("\nKino: stopped; run the same command again to go on from here.", file=sys.stderr)
        status = 130
    sys.exit(status)


def environment_tool(name: str, venv: Path = VENV) -> Path:
    """Where a program of the environment lies."""
    if os.name == "nt":
        return venv / "Scripts" / f"{name}.exe"
    return venv / "bin" / name


def clean_environment(**more: str) -> dict[str, str]:
    """The caller's environment without what would aim our tools at another project."""
    dropped = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "GIT_DIR", "GIT_WORK_TREE"}
    dropped |= {"GIT_INDEX_FILE", "UV_PROJECT_ENVIRONMENT"}
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **more}


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run a command quietly; stdout and stderr come back together. Never raises for its status.

    A command that overruns *timeout_s* is killed and reported with status 124, one that does not
    exist with status 127.
    """
    words = [str(word) for word in command]
    try:
        return subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=dict(environment or clean_environment()),
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        seen = error.output.decode(errors="replace") if isinstance(error.output, bytes) else ""
        return subprocess.CompletedProcess(words, 124, f"{seen}\nit timed out")
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, f"{words[0]} is not installed")


def last_line(text: str) -> str:
    """The last line that says something, without a trailing full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return ((errors or lines or ["no message"])[-1]).rstrip(".")


def is_offline(text: str) -> bool:
    """Whether a tool's output says that the network is the problem."""
    return any(phrase.lower() in text.lower() for phrase in OFFLINE)


def fetch_problem(what: str, output: str) -> Stop:
    """The sentence for something that could not be fetched from the package index."""
    if is_offline(output):
        return Stop(
            f"{what} could not be fetched because the package index (PyPI) is not reachable: "
            "connect to the network, or point PIP_INDEX_URL and UV_DEFAULT_INDEX at a mirror, and "
            "run the same command again; it goes on from here."
        )
    return Stop(f"{what} could not be installed ({last_line(output)}): mend that and run again.")


def make_environment(venv: Path = VENV) -> None:
    """Make ``.venv`` from the running Python, anew if the one there does not run."""
    python = environment_tool("python", venv)
    if not _works(python):
        if (
            importlib.util.find_spec("venv") is None
            or importlib.util.find_spec("ensurepip") is None
        ):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise Stop(
                "Python's venv module is missing: install it "
                f"(Debian: apt install python{version}-venv) and run again."
            )
        with step(f"Python environment in {venv.name}/"):
            made = run([sys.executable, "-m", "venv", "--clear", venv])
            if made.returncode != 0:
                raise Stop(f"{venv} could not be made ({last_line(made.stdout)}): mend that first.")
    else:
        done(f"Python environment in {venv.name}/")


def _works(python: Path) -> bool:
    """Whether the environment is there and runs the same Python as we do."""
    if not python.exists():
        return False
    said = run([python, "-c", "import sys; print(*sys.version_info[:2])"], timeout_s=60)
    return said.stdout.split() == [str(part) for part in sys.version_info[:2]]


def has_pip(python: Path) -> bool:
    """Whether this Python has pip."""
    return run([python, "-m", "pip", "--version"]).returncode == 0


def add_pip(python: Path) -> bool:
    """Give an environment the pip that Python brings along; whether that went well."""
    inside = "import sys; sys.exit(sys.prefix == sys.base_prefix)"  # never into the system's Python
    return (
        run([python, "-c", inside]).returncode == 0
        and run([python, "-m", "ensurepip"]).returncode == 0
    )


def get_uv(venv: Path = VENV) -> None:
    """Install uv into the environment."""
    if run([environment_tool("uv", venv), "--version"]).returncode == 0:
        done("uv")
        return
    python = environment_tool("python", venv)
    with step("uv"):
        if not has_pip(python):
            add_pip(python)  # if that fails, pip's own message follows
        got = run([python, "-m", "pip", "install", "--retries", "1", UV])
        if got.returncode != 0:
            raise fetch_problem("uv", got.stdout)


def sync_packages(*, dev: bool, venv: Path = VENV) -> None:
    """Install what ``uv.lock`` says; *dev* adds the tools that tests need.

    Packages of others (plugins that people installed) stay.
    """
    key = lock_key()
    label = "packages, with those for tests" if dev else "packages"
    enough = ["packages-dev"] if dev else ["packages-dev", "packages-run"]
    if any(is_stamped(venv, name, key) for name in enough):
        done(label)
        return
    with step(label):
        group = "--group" if dev else "--no-group"
        uv = environment_tool("uv", venv)
        status, output = show([uv, "sync", "--locked", "--inexact", group, "dev"])
        if status != 0 and "--locked" in output and "needs to be updated" in output:
            raise Stop("uv.lock does not fit pyproject.toml: run '.venv/bin/uv lock', then again.")
        if status != 0:
            raise fetch_problem("The packages", output)
    stamp(venv, "packages-dev" if dev else "packages-run", key)


def show(command: Sequence[str | Path]) -> tuple[int, str]:
    """Run a command whose progress people shall see; gives its status and what it wrote."""
    words = [str(word) for word in command]
    environment = clean_environment()
    if shutil.which(words[0]) is None:
        return 127, f"{words[0]} is not installed"
    if sys.stderr.isatty():
        # the tool draws its own bars; if it fails it is asked again, quietly, for the reason
        status = subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode
        return (0, "") if status == 0 else (status, run(words, environment=environment).stdout)
    written = []
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            written.append(line)
            print(f"    {line}", end="", flush=True)
    return child.returncode, "".join(written)


def lock_key() -> str:
    """What the installed packages depend on: the lock, the project file, this Python."""
    digest = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    digest.update(repr(sys.version_info[:2]).encode())
    return digest.hexdigest()


def is_stamped(venv: Path, name: str, key: str) -> bool:
    """Whether a step was done for *key*. Stamps live in the environment and go with it."""
    path = venv / "kino-setup" / name
    return path.exists() and path.read_text("utf-8") == key


def stamp(venv: Path, name: str, key: str) -> None:
    """Note that a step was done for *key*."""
    path = venv / "kino-setup" / name
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(key, "utf-8")
    partial.replace(path)


def find_program(name: str) -> str | None:
    """The full path of a program on the search path."""
    return shutil.which(name)
