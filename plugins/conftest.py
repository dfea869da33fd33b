"""Each plugin's package can be imported as if it were installed."""

import sys
from pathlib import Path

sys.path[:0] = [str(path) for path in sorted(Path(__file__).parent.iterdir()) if (path / "setup.cfg").exists()]
