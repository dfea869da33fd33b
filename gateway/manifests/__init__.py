"""Manifests: the YAML or JSON documents the gateway is configured with.

    secrets = Secrets(os.environ, Path("/run/secrets"))
    for manifest in load("gateway.yaml"):
        account, warnings = read(manifest, structs[manifest.type], secrets)

`load` knows files, lines and names, and no types of manifests; `read` makes one into the struct its plugin declares.
Both raise ConfigError with everything that is wrong, each fault with file, line and path.
"""

from gateway.manifests.loader import Loader, Manifest, load, loads
from gateway.manifests.reader import read
from gateway.manifests.references import Secrets

__all__ = ["Loader", "Manifest", "Secrets", "load", "loads", "read"]
