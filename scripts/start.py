#!/usr/bin/env python3
"""Set Kino up, start it, and the first time let it show a mix, a picture and a graph.

Knows: the order of the steps, the service as a child process, when it is ready, how it is stopped.
Does not know: how a step is done (setup_steps.py, comfyui_tree), what is shown (first_light.py).

    python3 scripts/start.py            set up, start on 127.0.0.1:8190, keep serving
    python3 scripts/start.py --once     the same, and stop after the first light
"""

import supported_python

supported_python.require("scripts/start.py")

import argparse  # noqa: E402 (only a supported Python can read what follows)
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import setup_steps as steps  # noqa: E402
from comfyui_tree import pinned  # noqa: E402
from service_child import Service, Settings, read_settings, require_free_port  # noqa: E402
from setup_steps import ROOT, Stop  # noqa: E402


def set_up() -> None:
    """Everything that the service needs before its settings can be read. Raises `Stop`."""
    print("Setting up", flush=True)
    steps.make_environment()
    steps.get_uv()
    steps.sync_packages(dev=False)


def put_comfyui(settings: Settings) -> None:
    """The pinned ComfyUI, unless the settings name another one or none. Raises `Stop`."""
    if not settings.comfyui_enabled:
        steps.done("ComfyUI is switched off in the settings")
    elif settings.comfyui_path is not None:
        steps.done(f"ComfyUI from {settings.comfyui_path}")
    elif settings.accept_modified and not pinned.is_empty(pinned.TARGET):
        steps.done("ComfyUI as it is (modified, and accepted)")
    elif pinned.is_empty(pinned.TARGET):
        with steps.step("ComfyUI, fetched and verified"):
            pinned.install()
    else:
        pinned.install()
        steps.done("ComfyUI, verified")


def make_folders(settings: Settings) -> None:
    """The folders that people put things into or take things from. Raises `Stop`."""
    try:
        for folder in (settings.data_dir, settings.models_dir, settings.data_dir / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(
            f"{error.filename} cannot be made ({error.strerror}): choose a folder that you may "
            "write to with --data-dir."
        ) from error
    steps.done(f"folders in {settings.data_dir}")


def show_first_light(service: Service, settings: Settings, *, again: bool) -> None:
    """Run first_light.py unless it was run before. Raises `Stop` if it fails."""
    folder = settings.data_dir / "first-light"
    stamp = folder / "done.txt"
    if stamp.exists() and not again:
        steps.done(f"first light was shown before; its results are in {folder}")
        return
    print("\nFirst light, through Kino's own API", flush=True)
    python = steps.environment_tool("python")
    script = ROOT / "scripts" / "first_light.py"
    status = service.beside([python, script, "--url", service.url, "--into", folder])
    if status != 0:
        raise Stop(f"the first light did not succeed (see above and {service.log}).")
    stamp.write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()), "utf-8")


def print_links(service: Service) -> None:
    """Where to go from here."""
    print(
        f"\nKino is running\n"
        f"  start page   {service.url}/\n"
        f"  API          {service.url}/docs\n"
        f"  health       {service.url}/healthz   {service.url}/readyz\n"
        f"  log          {service.log}",
        flush=True,
    )


def serve(settings: Settings, given: argparse.Namespace) -> int:
    """Start the service, show the first light, keep serving until asked to stop."""
    with Service(settings) as service:
        service.wait_until_live()
        print_links(service)
        try:
            show_first_light(service, settings, again=given.first_light)
        except Stop as stop:
            if given.once:
                raise
            print(f"Kino: {stop}", file=sys.stderr)
        if given.once:
            return 0
        print("\nCtrl-C stops Kino.", flush=True)
        try:
            return service.wait()
        except KeyboardInterrupt:
            return 0  # the way to stop it; leaving the block does so in good order


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Set Kino up and start it.")
    parser.add_argument("--port", type=int, help="port to listen on (8190)")
    parser.add_argument("--data-dir", type=Path, help="folder of everything that is kept (data/)")
    parser.add_argument("--once", action="store_true", help="stop after the first light")
    parser.add_argument("--first-light", action="store_true", help="show the first light again")
    return parser


def main() -> int:
    """Set up and serve."""
    given = arguments().parse_args()
    if given.port is not None and not 0 <= given.port <= 65535:
        raise Stop(f"{given.port} is no port: choose a number from 0 to 65535 with --port.")
    if given.port:
        require_free_port("127.0.0.1", given.port)
    set_up()
    settings = read_settings(port=given.port, data_dir=given.data_dir)
    require_free_port(settings.host, settings.port)
    put_comfyui(settings)
    make_folders(settings)
    return serve(settings, given)


if __name__ == "__main__":
    steps.main_guard(main)
