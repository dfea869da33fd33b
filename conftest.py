"""For all tests: each plugin of this tree is there as if it were installed, whether it is or not.

And no property has to be shown within some time: machines are slow now and then."""

import atexit
import sys
from configparser import ConfigParser
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

PLUGINS = [path.parent for path in sorted((Path(__file__).parent / "plugins").glob("*/setup.cfg"))]
_announced = TemporaryDirectory(prefix="plugins-")
atexit.register(_announced.cleanup)


def announce(plugin: Path, place: Path) -> None:
    """Writes what an installer would: the name, and the entry points. Source: packaging.python.org, recording
    installed packages."""
    setup = ConfigParser()
    setup.read(plugin / "setup.cfg")
    name, version = setup["metadata"]["name"], "0"
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = setup.items("options.entry_points") if setup.has_section("options.entry_points") else []
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines.strip()}\n" for group, lines in groups))


for each in PLUGINS:
    announce(each, Path(_announced.name))
sys.path[:0] = map(str, PLUGINS)
sys.path.append(_announced.name)
