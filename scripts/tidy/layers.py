"""What may know of what: the manifest's table, the imports really written, and the table that ARCHITECTURE.md shows."""

import json
import re
import subprocess

from source import Finding

# Of the toolchain; everything else has to be declared.
TOOLCHAIN = {
    "Swift", "Glibc", "Musl", "Darwin", "Dispatch", "Synchronization", "Foundation", "FoundationEssentials", "FoundationNetworking", "RegexBuilder",
    "_Concurrency", "_StringProcessing", "Builtin",
}
# Floor → what its targets may not import, declared or not, and what to do instead.
FORBIDDEN = {
    "Services": (
        {"MeshTLS", "MeshTransport", "MeshServer", "MeshClient", "COpenSSL", "CPostgres", "NIOCore", "NIOPosix"},
        "A service gets channels, methods and a pool from ServiceRuntime; TLS and sockets are none of its business."),
    "Domain": (
        {"Foundation", "FoundationEssentials", "Glibc", "Dispatch", "Synchronization", "Logging", "Metrics", "Tracing", "NIOCore"},
        "Domain rules are pure values: hand in what they need as an argument."),
}
# Single targets with the same discipline.
NO_FOUNDATION = {"MeshProtocol", "Money", "Digest"}

_IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias|actor)\s+)?(\w+)")


class ManifestRefused(Exception):
    pass


def manifest(tree):
    """name → {path, floor, kind, uses}, as SwiftPM itself evaluates Package.swift."""
    run = subprocess.run(["swift", "package", "dump-package"], cwd=tree.root, capture_output=True, text=True)
    if run.returncode != 0:
        fatal = re.search(r"Fatal error: (.*)", run.stdout + run.stderr)
        raise ManifestRefused(fatal.group(1) if fatal else (run.stderr.strip() or run.stdout.strip())[-300:])
    targets = {}
    for target in json.loads(run.stdout)["targets"]:
        uses = set()
        for dependency in target["dependencies"]:
            uses.update(value[0] for value in dependency.values())
        path = target["path"]
        targets[target["name"]] = {"path": path, "floor": path.split("/")[1], "kind": target["type"], "uses": uses}
    return targets


def check_layers(tree):
    try:
        targets = manifest(tree)
    except ManifestRefused as refusal:
        yield Finding(
            "Package.swift", 1, "layers", f"the manifest is refused: {refusal}",
            "Let the lower target know less, or move what is shared down; ARCHITECTURE.md, Layers, has the order.")
        return
    for name, target in sorted(targets.items()):
        for path in tree.matching((target["path"] + "/",), (".swift",)):
            yield from _check_imports(tree, path, name, target, targets)


def _check_imports(tree, path, name, target, targets):
    source = tree.swift(path)
    forbidden, remedy = FORBIDDEN.get(target["floor"], (set(), ""))
    for number, line in enumerate(source.code_lines, 1):
        match = _IMPORT.match(line)
        if not match:
            continue
        module = match.group(1)
        if module in forbidden:
            yield Finding(path, number, "layers", f"{target['floor']} may not import {module}", remedy)
        elif name in NO_FOUNDATION and module.startswith("Foundation"):
            yield Finding(
                path, number, "layers", f"{name} may not import {module}",
                "Use the standard library, Money (Timestamp, UUID128) or Digest (hexadecimal, SHA256).")
        elif module in TOOLCHAIN or module == name or module in target["uses"]:
            continue
        elif module == "Testing" and path.startswith("Tests/"):
            continue
        elif module in targets:
            yield Finding(
                path, number, "layers", f"{name} imports {module}, which it does not declare",
                f"Add \"{module}\" to the uses of {name} in Package.swift, if it stands below; otherwise find another way.")
        else:
            yield Finding(
                path, number, "layers", f"{name} imports {module}, of no product that it declares",
                f"Declare the product among those of {name} in Package.swift, or do without it.")


def check_architecture_table(tree):
    """The rows of ARCHITECTURE.md that name targets must name exactly those of the manifest."""
    try:
        targets = manifest(tree)
    except ManifestRefused:
        return  # `layers` reports it
    floors = {}
    for name, target in targets.items():
        if target["path"].startswith("Sources/"):
            floors.setdefault(target["floor"], set()).add(name)
    page, seen = "ARCHITECTURE.md", set()
    if not tree.exists(page):
        return  # `paths` reports it
    for number, line in enumerate(tree.text(page).split("\n"), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 2 or cells[0] not in floors:
            continue
        floor, named = cells[0], set(cells[1].split())
        seen.add(floor)
        for missing in sorted(floors[floor] - named):
            yield Finding(page, number, "architecture", f"the row of {floor} lacks {missing}", f"Add {missing} and what it knows.")
        for extra in sorted(named - floors[floor]):
            yield Finding(page, number, "architecture", f"the row of {floor} names {extra}, which does not exist", "Remove it.")
    for floor in sorted(set(floors) - seen):
        yield Finding(page, 1, "architecture", f"no row of the layer table says what is in {floor}", f"Add a row for {floor}.")
