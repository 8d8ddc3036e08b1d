"""What is not written in this house, and what is written instead."""

import os
import re
import subprocess

from source import Finding, is_generated

SWIFT = (".swift",)
# Files that may be long, each with the reason.
LONG_FILES = {}
WARN_LINES, MOST_LINES = 400, 800
TEXT_FILES = (".swift", ".c", ".h", ".py", ".sh", ".md", ".proto", ".yaml", ".yml", ".json", ".sql")
PURE = ("Sources/Domain/", "Sources/Mesh/MeshProtocol/")
NO_FLOATING_POINT = ("Sources/Core/Money/", "Sources/Domain/", "Sources/Services/")


def sources(tree, *prefixes):
    return [path for path in tree.matching(prefixes or ("Sources/", "Tests/"), SWIFT) if not is_generated(path)]


def _each(tree, paths, pattern):
    """Every match in code, not in comments and strings: (path, line number, source, match)."""
    expression = re.compile(pattern)
    for path in paths:
        source = tree.swift(path)
        for number, line in enumerate(source.code_lines, 1):
            for match in expression.finditer(line):
                yield path, number, source, match


def check_print(tree):
    paths = [path for path in sources(tree, "Sources/") if not path.startswith("Sources/Executables/")]
    for path, number, source, match in _each(tree, paths, r"(?<![\w.])(?:print|debugPrint|dump)\("):
        if "func " + match.group() not in source.code_lines[number - 1] and not source.allows("print", number):
            yield Finding(
                path, number, "print", f"{match.group()}…) outside an executable",
                "Log an event with swift-log, or return the text and let the executable print it.")


def check_force_try(tree):
    for path, number, source, _ in _each(tree, sources(tree), r"\btry!"):
        if not source.allows("force-try", number):
            yield Finding(path, number, "force-try", "try! ends the process on an error", "Throw, or handle the error; in tests, make the test `throws`.")


def check_unchecked(tree):
    for path, number, source, match in _each(tree, sources(tree), r"@unchecked\s+Sendable|nonisolated\(unsafe\)"):
        if not re.search(r"\w{3}", source.comment_near(number)):
            yield Finding(
                path, number, "unchecked", f"{match.group()} without a word on why it is safe",
                "Say so in a comment on the line or right above it; better: make it a value, an actor, or use Mutex.")


def check_floating_point(tree):
    for path, number, source, match in _each(tree, sources(tree, *NO_FLOATING_POINT), r"\b(?:Double|Float|Float32|Float64|Decimal)\b"):
        if not source.allows("floating-point", number):
            yield Finding(
                path, number, "floating-point", f"{match.group()} where money is counted",
                "Use Amount or Int64 minor units; for time, Duration or Timestamp. What is neither needs `// check:allow(floating-point) reason`.")


def check_purity(tree):
    pattern = (
        r"\bTask\s*\{|\bTask\.(?:detached|sleep|immediate)\b|\bDate\(|\b(?:Continuous|Suspending)Clock\b(?!\.Instant|\.Duration)|\bSystemWallClock\b"
        r"|\bSystemRandomNumberGenerator\b|\.random\(\)|\.random\(in: [^,()]*\)|\.now\(\)")
    for path, number, source, match in _each(tree, sources(tree, *PURE), pattern):
        if not source.allows("purity", number):
            yield Finding(
                path, number, "purity", f"{match.group().strip()} in code that must be a pure value",
                "Take the time, the random generator or the result as an argument: a simulation owns them.")


_STATEMENT = re.compile(
    r"\b(?:SELECT\s[\s\S]*\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|TRUNCATE\s"
    r"|(?:CREATE|ALTER|DROP)\s+(?:TABLE|ROLE|USER|DATABASE|SCHEMA|INDEX|VIEW|FUNCTION|TRIGGER)\s|GRANT\s|REVOKE\s|SET\s+(?:LOCAL\s+)?ROLE\s)")


def check_sql(tree):
    for path in sources(tree, "Sources/"):
        source = tree.swift(path)
        for literal in source.literals:
            if literal.is_interpolated and _STATEMENT.search(literal.text) and not source.allows("sql", literal.line):
                yield Finding(
                    path, literal.line, "sql", "a value is interpolated into SQL",
                    "Pass it as a parameter ($1). Where SQL has none (names in DDL), quote it and say why with `// check:allow(sql) reason`.")


def _is_nested(source, number):
    """Inside another type. (Inside an extension it is a main type all the same.)"""
    def indentation(line):
        return len(line) - len(line.lstrip())
    own = indentation(source.code_lines[number - 1])
    for above in range(number - 1, 0, -1):
        line = source.code_lines[above - 1]
        if line.strip() and not line.lstrip().startswith(("#", "}", ")")) and indentation(line) < own:
            return re.search(r"\bextension\b", line) is None
    return False


def check_documented(tree):
    """Types nested in others are known by their names (Code, State) and may go without."""
    pattern = re.compile(
        r"^\s*(?:@[\w.]+(?:\([^)]*\))?\s+)*(?:public|package|open)\s+(?:(?:final|indirect|nonisolated|distributed)\s+)*"
        r"(struct|class|enum|protocol|actor)\s+(?!func\b|var\b|subscript\b)`?(\w+)")
    for path in sources(tree, "Sources/", "Tests/Support/"):
        source = tree.swift(path)
        for number, line in enumerate(source.code_lines, 1):
            match = pattern.match(line)
            if not match or _is_nested(source, number):
                continue
            above = number - 1
            while above > 0 and source.lines[above - 1].lstrip().startswith(("@", "#if")):
                above -= 1
            comment = source.lines[above - 1].strip() if above > 0 else ""
            if not comment.startswith("///") and not comment.endswith("*/"):
                yield Finding(
                    path, number, "documented", f"{match.group(1)} {match.group(2)} has no /// comment",
                    "Say in a sentence what it is; then units, errors, source of the rule, where there are any.")


def check_length(tree):
    for path in tree.matching(("Sources/", "Tests/", "scripts/", "Benchmarks/", "Fuzz/"), (".swift", ".c", ".h", ".py", ".sh")):
        if is_generated(path) or path in LONG_FILES:
            continue
        count = tree.text(path).count("\n")
        if count > MOST_LINES:
            yield Finding(
                path, MOST_LINES, "length", f"{count} lines; {MOST_LINES} is the most",
                "Split it: one main type a file, extensions in Type+Purpose.swift. A real exception goes into LONG_FILES with its reason.")
        elif count > WARN_LINES:
            yield Finding(path, WARN_LINES, "length", f"{count} lines", "Is there a second thing in it that wants a file of its own?", is_warning=True)


def check_leftovers(tree):
    expression = re.compile(r"\b(?:FIXME|TODO|HACK)\b")
    home = re.compile(r"(?<![\w.:])/(?:work|home|Users|root)/[\w.-]+")
    for path in tree.files():
        if not path.endswith(TEXT_FILES) or is_generated(path) or path.startswith("scripts/tidy/"):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            match = expression.search(line)
            if match:
                yield Finding(path, number, "leftover", f"{match.group()} is left in the text", "Do it now, or file an issue and say here what holds today.")
            match = home.search(line)
            if match and not path.startswith("Tests/"):
                yield Finding(path, number, "leftover", f"{match.group()} exists on one machine only", "Use a path relative to the project, or a temporary directory.")


def check_format(tree):
    paths = sources(tree)  # Package.swift is laid out by hand, as a table
    run = subprocess.run(
        ["swift", "format", "lint", "--strict", "--parallel", "--no-color-diagnostics", "--configuration", tree.path(".swift-format"), *paths],
        cwd=tree.root, capture_output=True, text=True)
    found = False
    for line in run.stderr.splitlines():
        match = re.match(r"(.+?):(\d+):\d+: (?:error|warning): (.*)", line)
        if match:
            found = True
            path = os.path.relpath(os.path.join(tree.root, match.group(1)), tree.root)
            yield Finding(path, int(match.group(2)), "format", match.group(3), f"swift format -i {path}")
    if run.returncode != 0 and not found:
        yield Finding(".swift-format", 1, "format", f"swift format failed: {run.stderr.strip()[:300]}", "Run `swift format lint` by hand.")
