"""Keeps a package from being imported, as if it were not installed.

pyarrow starts a thread on import, and pandas stores strings in another way where it finds it: the zygote must
have neither, and a delivered model must see the same frames as the zygote did.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Finds nothing for one package, and says so before anybody else is asked."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuses the package and what is beneath it."""
        if fullname == self.package or fullname.startswith(self.package + "."):
            raise ModuleNotFoundError(f"{self.package} is kept out of this process", name=fullname)
        return None


def block(package: str) -> None:
    """From now on importing the package fails; modules that were imported from it stay usable."""
    for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Absent(package))
