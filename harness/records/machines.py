"""The machines that a run was measured on, from what ``run.json`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Machine:
    """Nodes that are alike. ``hash`` is what records name their environment by, ``kind`` the kind of machine that they
    were asked for as (empty: none), ``environment`` an ``Environment`` as plain values, and ``nodes`` how many took
    part."""

    hash: str
    kind: str
    environment: Mapping[str, Any]
    nodes: int = 1


def machines_of(info: Mapping[str, Any]) -> list[Machine]:
    """The machines of a run on a cluster, as it lists them; of another run, the one on which it was started."""
    listed = info.get("machines")
    if not isinstance(listed, list):
        found = info.get("environment")
        environment = found if isinstance(found, Mapping) else {}
        return [Machine(str(environment.get("hash", "")), "", environment)]
    return [Machine(str(each["hash"]), str(each.get("kind", "")), each, int(each.get("nodes", 1))) for each in listed]


def instructions(info: Mapping[str, Any], kind: str) -> list[str]:
    """The vector and matrix instructions that all machines of a kind have; of a kind that is not listed, those of the
    machine on which the run was started."""
    mine = [each.environment for each in machines_of(info) if each.kind == kind] or [info.get("environment", {})]
    first, *others = [list(each.get("isa", ())) for each in mine]
    return [name for name in first if all(name in other for other in others)]
