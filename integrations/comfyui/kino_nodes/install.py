"""Install what Kino's nodes need into the Python that runs ComfyUI. Never touches torch.

Run it with that very Python; ComfyUI-Manager does so by itself::

    python install.py                    for nodes that run on a Kino service: nothing is installed
    python install.py --local PATH       for nodes that run here: Kino from the folder PATH, and
                                         what it needs beside torch

    python_embeded\\python.exe -s ComfyUI\\custom_nodes\\kino_nodes\\install.py --local …

Every package that is installed already is held at its version, torch and its like above all. If
Kino's other needs cannot be had beside them, pip says which, and nothing is installed.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

NEVER = frozenset({"torch", "torchvision", "torchaudio", "triton", "xformers"})
"""What is not even asked for."""

OLDEST = (3, 11)


def installed():
    """What this Python has, by normalised name."""
    found = ((each.metadata["Name"], each.version) for each in metadata.distributions())
    return {_plain(name): version for name, version in found if name}


def needs(folder):
    """The requirements of Kino in *folder*, without torch and its like."""
    import tomllib

    project = Path(folder) / "pyproject.toml"
    if not project.is_file():
        raise SystemExit(f"{folder} is no folder of Kino: it has no pyproject.toml")
    with project.open("rb") as file:
        told = tomllib.load(file)["project"]
    if told["name"] != "kino":
        raise SystemExit(f"{folder} holds {told['name']}, not Kino")
    return [each for each in told["dependencies"] if _name(each) not in NEVER]


def _name(requirement):
    return _plain(re.match(r"[A-Za-z0-9._-]+", requirement)[0])


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installer():
    """pip of this very Python, or uv told of it. Raises ``SystemExit`` where there is neither."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--no-input"]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    raise SystemExit(
        f"{sys.executable} has neither pip nor uv: run '{sys.executable} -m ensurepip' first."
    )


def _install(*what):
    command = [*installer(), *what]
    print("+", " ".join(command), flush=True)
    if subprocess.call(command) != 0:
        raise SystemExit(
            "Kino was not installed into ComfyUI's Python, which is as it was. Its nodes run on a "
            "service all the same: start 'kino serve' in an environment of its own."
        )


def install(folder):
    """Install Kino's needs, everything that is here held, then Kino itself without asking more."""
    if sys.version_info < OLDEST:
        raise SystemExit(f"Kino needs Python {'.'.join(map(str, OLDEST))} or newer in this process")
    before = installed()
    missing = sorted({"torch", "torchaudio"} - before.keys())
    if missing:
        raise SystemExit(
            f"{sys.executable} has no {' and no '.join(missing)}: it is not the Python that runs "
            "ComfyUI. Nothing was installed."
        )
    wanted = needs(folder)
    with tempfile.TemporaryDirectory() as scratch:
        held = Path(scratch) / "held.txt"
        lines = [f"{name}=={version}" for name, version in before.items() if name != "kino"]
        held.write_text("\n".join(lines) + "\n", encoding="utf-8")
        _install("--constraint", str(held), *wanted)
    _install("--no-deps", str(folder))
    changed = [name for name in before if name != "kino" and installed().get(name) != before[name]]
    if changed:
        raise SystemExit(f"these packages were changed, please report it: {', '.join(changed)}")
    print(f"Kino is installed; torch {before['torch']} is as it was.")


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--local", metavar="PATH", help="install Kino from this folder")
    asked = parser.parse_args()
    if asked.local is None:
        print("Kino's nodes will run on the service at KINO_URL; nothing needs to be installed.")
        return
    install(Path(asked.local).resolve())


if __name__ == "__main__":
    main()
