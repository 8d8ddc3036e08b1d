"""Migrations that were released stay as they are.

scripts/migrations.lock has a line for each: SHA-256 of its SQL (the text of the Swift literal, without its indentation), target,
version, name. A line is added when a migration is released, and never changed or removed.
"""

import hashlib
import os
import re

from source import Finding, is_generated

LOCK = "scripts/migrations.lock"
_CALL = re.compile(r"\bMigration\(\s*version:\s*(\d+)\s*,\s*name:\s*\"")
_HEAD = "# SHA-256 of the SQL, target, version, name. Lines are only ever added: scripts/check.sh --release-migrations\n"


def _dedented(literal):
    if not literal.is_multiline:
        return literal.text
    lines = literal.text.split("\n")
    indentation = len(lines[-1]) - len(lines[-1].lstrip(" "))
    return "\n".join(line[indentation:] for line in lines[1:-1])


def _literal_at(source, position):
    """The string literal that starts after `position`, with only spaces and a quote between."""
    for literal in source.literals:
        if literal.start >= position and re.fullmatch(r'[\s#]*"+', source.text[position:literal.start]):
            return literal
    return None


def released_candidates(tree):
    """Every migration in the sources: (path, line, target, version, name, checksum or None if its SQL cannot be found)."""
    by_target = {}
    for path in tree.matching(("Sources/",), (".swift",)):
        if not is_generated(path):
            by_target.setdefault("/".join(path.split("/")[:3]), []).append(path)
    for target, paths in sorted(by_target.items()):
        for path in paths:
            source = tree.swift(path)
            for match in _CALL.finditer(source.text):
                if source.code[match.start():match.start() + 9] != "Migration":
                    continue  # in a comment or a string
                name = _literal_at(source, match.end() - 1)
                if name is None:
                    continue
                checksum = _checksum(tree, paths, source, name.end + 1)
                yield path, source.line_of(match.start()), target.split("/")[-1], int(match.group(1)), name.text, checksum


def _checksum(tree, paths, source, position):
    argument = re.compile(r"\s*,\s*sql:\s*").match(source.text, position)
    if not argument:
        return None
    literal = _literal_at(source, argument.end())
    if literal is None:
        constant = re.compile(r"(?:\w+\.)*(\w+)").match(source.text, argument.end())
        literal = constant and _constant(tree, paths, constant.group(1))
        if literal is None:
            return None
    if literal.is_interpolated:
        return None
    return hashlib.sha256(_dedented(literal).encode()).hexdigest()


def _constant(tree, paths, name):
    declaration = re.compile(r"\blet\s+" + name + r"\b\s*(?::\s*StaticString\s*)?=\s*")
    for path in paths:
        source = tree.swift(path)
        for match in declaration.finditer(source.code):
            literal = _literal_at(source, match.end())
            if literal is not None:
                return literal
    return None


def _lock(tree):
    """(target, version) → (line number, checksum, name)"""
    entries = {}
    if tree.exists(LOCK):
        for number, line in enumerate(tree.text(LOCK).split("\n"), 1):
            if line and not line.startswith("#"):
                checksum, target, version, name = line.split(" ", 3)
                entries[target, int(version)] = (number, checksum, name)
    return entries


def check_migrations(tree):
    lock, seen = _lock(tree), {}
    remedy = "Put it back as it was, and write a new migration with the next number."
    for path, line, target, version, name, checksum in released_candidates(tree):
        key = (target, version)
        if key in seen:
            yield Finding(path, line, "migrations", f"{target} has two migrations with the number {version} (the other: {seen[key]})", "Take the next number.")
            continue
        seen[key] = f"{path}:{line}"
        if checksum is None:
            yield Finding(
                path, line, "migrations", f"the SQL of {target} {version} cannot be found from here",
                "Give `sql:` a literal without interpolation, or the name of a `let … : StaticString = \"\"\"` in the same target.")
        elif key in lock and (lock[key][1], lock[key][2]) != (checksum, name):
            yield Finding(path, line, "migrations", f"{target} {version} \"{name}\" was released and has been edited", remedy)
        elif key not in lock:
            yield Finding(
                path, line, "migrations", f"{target} {version} \"{name}\" is not released yet: it may still be edited",
                "With the release: scripts/check.sh --release-migrations", is_warning=True)
    for (target, version), (number, _, name) in sorted(lock.items()):
        if (target, version) not in seen:
            yield Finding(LOCK, number, "migrations", f"{target} {version} \"{name}\" was released and is gone", remedy)


def release(tree):
    lock, added = _lock(tree), []
    for path, line, target, version, name, checksum in released_candidates(tree):
        if (target, version) not in lock and checksum is not None:
            added.append(f"{checksum} {target} {version} {name}\n")
    text = tree.text(LOCK) if tree.exists(LOCK) else _HEAD
    with open(tree.path(LOCK), "w", encoding="utf-8") as file:
        file.write(text + "".join(added))
    return [line.split(" ", 1)[1].strip() for line in added]
