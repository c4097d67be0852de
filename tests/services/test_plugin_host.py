"""A plugin may be broken in every way; it is listed with its reason and harms nobody else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from backend import plugins
from backend.config import load
from backend.hookspecs import Role
from backend.services.plugin_host import STARTUP_S, PluginHost, PluginRecord

GOOD = '''
"""A good plugin."""
import threading
from backend.plugins import Unavailable, hookimpl, operation

summary = "Says hello."
seen = []

@operation("good.hello")
def hello(name: str = "you") -> str:
    """Say hello."""
    return f"hello {name}"

@hookimpl
def register_operations():
    return [hello]

@hookimpl
def startup(host):
    seen.append((host.role, host.plugin_data.is_dir(), threading.current_thread().name))

@hookimpl
def shutdown(host):
    seen.append("shutdown")
'''


class Hosts:
    """Makes hosts over a folder of plugin files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "plugins"
        self.folder.mkdir()
        self.data = folder / "data"

    def write(self, name: str, code: str) -> None:
        (self.folder / f"{name}.py").write_text(dedent(code))

    def host(
        self, role: Role = "api", *, startup_s: float = 60.0, builtins: Sequence[str] = ()
    ) -> PluginHost:
        settings = load(plugins_dir=self.folder, data_dir=self.data)
        made = PluginHost(role, settings, self.data, startup_s=startup_s, builtins=builtins)
        made.load()
        return made


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """A folder with one good plugin; imported plugin files are forgotten afterwards."""
    made = Hosts(tmp_path)
    made.write("good", GOOD)
    yield made
    for name in [name for name in sys.modules if name.startswith("kino_plugin_")]:
        del sys.modules[name]


def record(host: PluginHost, name: str) -> PluginRecord:
    """The record of one plugin."""
    return next(each for each in host.plugins if each.name == name)


def reason(host: PluginHost, name: str) -> str:
    """Why a plugin is unavailable; it must have a remedy too, and the good one must work."""
    why = record(host, name).unavailable
    assert why is not None
    assert why.remedy
    assert record(host, "good").unavailable is None
    operation, _, missing = host.operations["good.hello"]
    assert missing is None
    assert operation("me") == "hello me"
    return why.reason


BROKEN = {
    "raises at import": ("raise RuntimeError('no engine')", "RuntimeError: no engine"),
    "exits at import": ("raise SystemExit(3)", "SystemExit"),
    "is not Python": ("def (", "SyntaxError"),
    "lacks a module at import": ("import not_installed_anywhere", "not_installed_anywhere"),
    "has a hook with a wrong argument": (
        """
        from backend.plugins import hookimpl
        @hookimpl
        def startup(machine): ...
        """,
        "does not fit",
    ),
    "has an unknown hook": (
        """
        from backend.plugins import hookimpl
        @hookimpl
        def register_routes(): ...
        """,
        "does not fit",
    ),
    "gives rubbish": (
        """
        from backend.plugins import hookimpl
        @hookimpl
        def register_operations(): return {"a": 1}
        """,
        "gave dict",
    ),
    "raises in a hook": (
        """
        from backend.plugins import hookimpl
        @hookimpl
        def register_operations(): raise KeyError("x")
        """,
        "raised KeyError",
    ),
    "has an annotation that cannot be read": (
        """
        from backend.plugins import hookimpl, operation
        import socket
        @operation("bad.shape")
        def shape(x: "Nowhere") -> int:
            return 1
        @hookimpl
        def register_operations(): return [shape]
        """,
        "bad.shape cannot be read",
    ),
    "takes another's operation": (
        """
        from backend.plugins import hookimpl, operation
        @operation("good.hello")
        def hello() -> str:
            return "mine"
        @hookimpl
        def register_operations(): return [hello]
        """,
        "'good.hello' belongs to the plugin 'good'",
    ),
    "gives one operation twice": (
        """
        from backend.plugins import hookimpl, operation
        @operation("twice.a")
        def a() -> str:
            return ""
        @hookimpl
        def register_operations(): return [a, a]
        """,
        "given twice",
    ),
    "hangs in a hook": (
        """
        import threading
        from backend.plugins import hookimpl
        @hookimpl
        def register_models(): threading.Event().wait(60)
        """,
        "did not return within 2 s",
    ),
    "gives a node without a proper name": (
        """
        from backend.plugins import NodeShape, hookimpl
        @hookimpl
        def register_nodes(): return [NodeShape([], "good.hello", "x", "x", (), ())]
        """,
        "reading it raised TypeError",
    ),
    "has settings that are no model": (
        """
        from backend.plugins import hookimpl
        @hookimpl
        def register_settings(): return dict
        """,
        "settings",
    ),
}


@pytest.mark.parametrize(("code", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_listed_with_its_reason(hosts: Hosts, code: str, why: str) -> None:
    """Whatever is wrong while loading becomes a reason; the plugins around it work on."""
    hosts.write("later", code)
    hosts.write("latest", GOOD.replace("good.", "latest."))
    host = hosts.host(startup_s=2.0 if "return within" in why else 60.0)
    assert why in reason(host, "later")
    assert record(host, "latest").unavailable is None


def test_a_reason_names_no_folder(hosts: Hosts) -> None:
    """What callers are told keeps the machine's paths to itself."""
    hosts.write("later", "from backend.plugins import nothing_like_this")
    told = reason(hosts.host(), "later")
    assert "nothing_like_this" in told
    assert "__init__.py" in told
    assert "/" not in told


def test_a_plugin_that_hangs_in_startup_is_unavailable(hosts: Hosts) -> None:
    """After the deadline its operations carry the reason, and the others have been started."""
    hosts.write(
        "later",
        """
        import threading
        from backend.plugins import hookimpl, operation
        @operation("later.a")
        def a() -> str:
            return ""
        @hookimpl
        def register_operations(): return [a]
        @hookimpl
        def startup(host): threading.Event().wait(60)
        """,
    )
    host = hosts.host(startup_s=2.0)
    host.start()
    assert "startup did not return within 2 s" in reason(host, "later")
    why = host.operations["later.a"][2]
    assert why is not None
    assert "did not return" in why.reason
    host.stop()


def test_startup_has_ten_seconds() -> None:
    """The deadline that plugins get is the one that is documented."""
    assert STARTUP_S == 10.0


@pytest.mark.parametrize("role", ["api", "cpu", "comfy"])
def test_startup_runs_once_in_a_thread_and_tells_the_role(hosts: Hosts, role: Role) -> None:
    """Each process calls startup once, outside its main thread, with a folder that exists."""
    host = hosts.host(role)
    host.start()
    host.stop()
    seen = sys.modules["kino_plugin_good"].seen
    assert [each[:2] for each in seen if each != "shutdown"] == [(role, True)]
    assert seen[0][2] != threading.main_thread().name


def test_a_plugin_of_a_taken_name_is_the_later_ones_fault(hosts: Hosts) -> None:
    """The earlier plugin keeps the name; the later one is listed beside it, unavailable."""
    hosts.write("mixer", "raise RuntimeError('never imported')")
    host = hosts.host(builtins=["backend.plugins.mixer"])
    assert record(host, "mixer").unavailable is None
    assert "mixer.mix" in host.operations
    assert "already called 'mixer'" in reason(host, "mixer (2)")


def test_a_plugin_cannot_be_called_like_a_setting(hosts: Hosts) -> None:
    """KINO_LIMITS__… belongs to Kino's own limits."""
    hosts.write("limits", "")
    assert "name of a setting" in reason(hosts.host(), "limits")


def test_a_node_of_a_taken_name_is_the_later_ones_fault(hosts: Hosts) -> None:
    """Two plugins cannot give the same node id."""
    shape = """
        from backend.plugins import NodeShape, hookimpl
        @hookimpl
        def register_nodes():
            return [NodeShape("Same", "good.hello", "Same", "x", (), ())]
        """
    hosts.write("later_a", shape)
    hosts.write("later_b", shape)
    host = hosts.host()
    assert record(host, "later_a").unavailable is None
    assert "the node 'Same' belongs to the plugin 'later_a'" in reason(host, "later_b")


def test_a_missing_module_makes_the_operation_unavailable(hosts: Hosts) -> None:
    """The plugin is there; only the operation that needs the module is not, with a remedy."""
    hosts.write(
        "later",
        """
        from backend.plugins import Needs, hookimpl, operation
        @operation("later.a", needs=Needs(modules=("not_installed_anywhere.at.all",)))
        def a() -> str:
            return ""
        @operation("later.b")
        def b() -> str:
            return ""
        @hookimpl
        def register_operations(): return [a, b]
        """,
    )
    host = hosts.host()
    assert record(host, "later").unavailable is None
    why = host.operations["later.a"][2]
    assert why is not None
    assert "not_installed_anywhere" in why.reason
    assert "uv pip install not_installed_anywhere" in why.remedy
    assert host.operations["later.b"][2] is None


def test_built_ins_are_only_names(hosts: Hosts) -> None:
    """One built-in removed and a stranger added: the rest neither misses nor minds."""
    names = [name for name in plugins.BUILT_IN if not name.endswith(".mixer")]
    host = hosts.host(builtins=names)
    assert "mixer.mix" not in host.operations
    assert "good.hello" in host.operations
    assert all(each.unavailable is None for each in host.plugins)


def test_an_installed_package_is_found(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entry points of group kino are plugins; one that cannot be imported is listed."""
    site = tmp_path / "site"
    info = site / "stranger-2.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text(
        "[kino]\nstranger = stranger_kino\nlost = nowhere_at_all\n"
    )
    (site / "stranger_kino.py").write_text(GOOD.replace("good.", "stranger."))
    monkeypatch.syspath_prepend(site)
    host = hosts.host()
    found = record(host, "stranger")
    assert (found.version, found.source, found.unavailable) == ("2.1", "package", None)
    assert "stranger.hello" in host.operations
    assert "nowhere_at_all" in reason(host, "lost")


def hook(code: str) -> str:
    """A plugin whose hook is *code*."""
    return f"from backend.plugins import *\nseen = []\n{dedent(code)}"


@pytest.fixture
def with_hook(hosts: Hosts) -> Callable[[str], PluginHost]:
    """A host with one plugin, ``later``, of the given code."""

    def make(code: str) -> PluginHost:
        hosts.write("later", hook(code))
        return hosts.host()

    return make


def test_hook_register_operations(with_hook: Callable[[str], PluginHost]) -> None:
    """What the hook gives is an operation, and belongs to its plugin."""
    host = with_hook(
        """
        @operation("later.a")
        def a() -> str:
            return "a"
        @hookimpl
        def register_operations(): return (a,)
        """
    )
    assert host.operations["later.a"][1] == "later"


def test_hook_register_nodes(with_hook: Callable[[str], PluginHost]) -> None:
    """What the hook gives is a node shape."""
    host = with_hook(
        """
        @hookimpl
        def register_nodes(): return [NodeShape("LaterNode", "good.hello", "L", "x", (), ())]
        """
    )
    assert [shape.node_id for shape in host.shapes] == ["LaterNode"]


def test_hook_register_models(with_hook: Callable[[str], PluginHost]) -> None:
    """A model that is missing makes its operation unavailable, and says where to get it."""
    host = with_hook(
        """
        @operation("later.a", needs=Needs(models=("tiny",)))
        def a() -> str:
            return "a"
        @hookimpl
        def register_operations(): return [a]
        @hookimpl
        def register_models():
            return [ModelFile("tiny", "stems", "tiny.safetensors", "MIT", "the author's page")]
        """
    )
    why = host.operations["later.a"][2]
    assert why is not None
    assert "models/stems" in why.reason
    assert "the author's page" in why.remedy


def test_hook_register_web_assets(with_hook: Callable[[str], PluginHost], tmp_path: Path) -> None:
    """A folder is the plugin's; what is none is refused, and the plugin is listed with why."""
    code = """
        from pathlib import Path
        @hookimpl
        def register_web_assets(): return {}
        """
    host = with_hook(code.format(f"Path({str(tmp_path)!r})"))
    assert host.web_folders["later"] == tmp_path.resolve()
    told = reason(with_hook(code.format("Path('nowhere')")), "later")
    assert told == "register_web_assets gave 'nowhere', which is no folder"
    told = reason(with_hook(code.format(repr(str(tmp_path)))), "later")
    assert told == "register_web_assets gave str, not a Path"


def test_hook_register_settings(
    with_hook: Callable[[str], PluginHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin's model is filled from KINO_<PLUGIN>__*; a bad value is the plugin's fault."""
    code = """
        class LaterSettings(Model):
            depth: int = 3
        @hookimpl
        def register_settings(): return LaterSettings
        @hookimpl
        def startup(host): seen.append(host.settings)
        """
    monkeypatch.setenv("KINO_LATER__DEPTH", "7")
    host = with_hook(code)
    assert host.settings["later"].depth == 7
    host.start()
    assert sys.modules["kino_plugin_later"].seen == [host.settings["later"]]
    monkeypatch.setenv("KINO_LATER__DEPTH", "deep")
    told = reason(with_hook(code), "later")
    assert "settings cannot be read: depth: " in told
    assert "deep" not in told  # a value may be a secret


def test_hook_startup(with_hook: Callable[[str], PluginHost]) -> None:
    """A startup that raises makes the plugin unavailable with the error's own words."""
    host = with_hook(
        """
        @hookimpl
        def startup(host): raise OSError("no table")
        """
    )
    host.start()
    assert "OSError: no table" in reason(host, "later")


def test_hook_shutdown(with_hook: Callable[[str], PluginHost]) -> None:
    """Shutdown is called once, and only after a startup."""
    host = with_hook(
        """
        @hookimpl
        def shutdown(host): seen.append(host.role)
        """
    )
    host.stop()
    assert sys.modules["kino_plugin_later"].seen == []
    host.start()
    host.stop()
    host.stop()
    assert sys.modules["kino_plugin_later"].seen == ["api"]


def test_hook_check_health(with_hook: Callable[[str], PluginHost]) -> None:
    """A plugin that says it cannot work is unavailable with its own reason and remedy."""
    host = with_hook(
        """
        @hookimpl
        def check_health(): return Unavailable("no bwrap", "apt install bubblewrap")
        """
    )
    assert host.check_health()["later"].remedy == "apt install bubblewrap"
    assert reason(host, "later") == "no bwrap"


def test_a_plugin_that_recovers_is_available_again(with_hook: Callable[[str], PluginHost]) -> None:
    """Health is asked at start and whenever somebody wants to know; the last answer counts."""
    host = with_hook(
        """
        ill = [Unavailable("no bwrap", "apt install bubblewrap")]
        @hookimpl
        def check_health(): return ill[0] if ill else None
        """
    )
    host.start()
    assert record(host, "later").unavailable is not None
    sys.modules["kino_plugin_later"].ill.clear()
    assert host.check_health() == {}
    assert record(host, "later").unavailable is None


def test_health_that_is_no_answer(with_hook: Callable[[str], PluginHost]) -> None:
    """A check_health that gives something else, or raises, is a reason like any other."""
    host = with_hook(
        """
        @hookimpl
        def check_health(): return "fine, thanks"
        """
    )
    assert host.check_health()["later"].reason == "check_health gave str"
    host = with_hook(
        """
        @hookimpl
        def check_health(): return 1 / 0
        """
    )
    assert "ZeroDivisionError" in host.check_health()["later"].reason


def test_a_failed_startup_is_not_healed(with_hook: Callable[[str], PluginHost]) -> None:
    """Who could not start stays out, is not asked for its health, and is not shut down."""
    host = with_hook(
        """
        @hookimpl
        def startup(host): raise OSError("no table")
        @hookimpl
        def check_health(): seen.append("asked")
        @hookimpl
        def shutdown(host): seen.append("stopped")
        """
    )
    host.start()
    host.check_health()
    host.stop()
    assert "no table" in reason(host, "later")
    assert sys.modules["kino_plugin_later"].seen == []


def test_a_worker_that_is_not_configured(hosts: Hosts) -> None:
    """The API process knows that nobody will run what needs the comfy worker."""
    settings = load(data_dir=hosts.data, workers=["cpu"])
    host = PluginHost("api", settings, hosts.data)
    host.load()
    why = host.operations["workflows.run"][2]
    assert why is not None
    assert "KINO_WORKERS" in why.remedy
    assert host.operations["mixer.mix"][2] is None
