"""Plants one violation of each kind in a copy of the tree, and one harmless look-alike beside it.

A rule that does not report the first, or reports the second, is broken. Rules that need a tool of their own (a plugin, a
manifest) use the real one.
"""

import os
import shutil
import subprocess
import sys
import tempfile

Q = '"""'

# rule, file, text, line that must be reported, words that must be in the report.
# A text that starts with "…" is appended to the file that is there; of a pair, the first is replaced by the second.
CASES = [
    ("layers", "Sources/Domain/Idempotency/Planted.swift", "import Logging\n", 1, "Domain may not import Logging"),
    ("layers", "Sources/Services/AccountService/Planted.swift", "// why\nimport MeshTLS\n", 2, "Services may not import MeshTLS"),
    ("layers", "Sources/Services/AccountService/Planted.swift", "internal import LedgerService\n", 1, "which it does not declare"),
    ("layers", "Sources/Core/Digest/Planted.swift", "private import struct Foundation.Date\n", 1, "Digest may not import Foundation"),
    ("layers", "Sources/Mesh/MeshTLS/Planted.swift", "@preconcurrency import Yams\n", 1, "of no product that it declares"),
    ("layers", "Package.swift", ('Room(name: "Digest", uses: ["COpenSSL"])', 'Room(name: "Digest", uses: ["LedgerService"])'), 1, "Digest may not use LedgerService"),
    ("architecture", "ARCHITECTURE.md", ("| Core | ", "| Core | Bedrock "), None, "names Bedrock, which does not exist"),
    ("architecture", "ARCHITECTURE.md", (" MeshTLS", ""), None, "lacks MeshTLS"),
    ("format", "Sources/Core/Money/Planted.swift", "struct  Planted {\n}\n", 1, "swift format -i Sources/Core/Money/Planted.swift"),
    ("documented", "Sources/Core/Money/Planted.swift", "// Planted.\npublic struct Planted {}\n", 2, "struct Planted has no /// comment"),
    ("documented", "Sources/Core/Money/Planted.swift", "extension Amount {\n  @frozen\n  package enum Planted {}\n}\n", 3, "enum Planted"),
    ("length", "Sources/Core/Money/Planted.swift", "// line\n" * 801, 800, "801 lines"),
    ("print", "Sources/Tools/Authority/Planted.swift", 'func planted() {\n  print("x")\n}\n', 2, "print"),
    ("force-try", "Tests/MoneyTests/Planted.swift", "let planted = try! thing()\n", 1, "try!"),
    ("unchecked", "Sources/Core/Money/Planted.swift", "let a = 1\nfinal class Planted: @unchecked Sendable {}\n", 2, "@unchecked Sendable"),
    ("unchecked", "Sources/Core/Money/Planted.swift", "nonisolated(unsafe) var planted = 1\n", 1, "nonisolated(unsafe)"),
    ("floating-point", "Sources/Services/LedgerService/Planted.swift", "let planted: Double = 0.1\n", 1, "Double"),
    ("purity", "Sources/Domain/SagaEngine/Planted.swift", "func planted() async {\n  let now = ContinuousClock.now\n}\n", 2, "ContinuousClock"),
    ("purity", "Sources/Mesh/MeshProtocol/Planted.swift", "let planted = Int.random(in: 1...6)\n", 1, ".random"),
    ("sql", "Sources/Storage/Outbox/Planted.swift", 'let planted = "DELETE FROM outbox WHERE id = \\(id)"\n', 1, "interpolated into SQL"),
    ("sql", "Sources/Storage/Outbox/Planted.swift", f"let planted = {Q}\n  SELECT *\n  FROM t WHERE x = '\\(x)'\n  {Q}\n", 1, "interpolated into SQL"),
    ("leftover", "Sources/Core/Money/Planted.swift", "\n// " + "FIX" + "ME later\n", 2, "is left in the text"),
    ("leftover", "deploy/planted.yaml", "directory: /home/" + "someone/florin\n", 1, "one machine only"),
    ("migrations", "Sources/Services/AccountService/Planted.swift", f'let planted = Migration(version: 900, name: "planted", sql: {Q}\n  SELECT 2;\n  {Q})\n', 1, "has been edited"),
    ("migrations", "Sources/Services/AccountService/Planted.swift", "let planted = 1\n", None, '"planted" was released and is gone'),
    ("migrations", "Sources/Services/AccountService/Planted.swift", 'let planted = [Migration(version: 900, name: "planted", sql: elsewhere)]\n', 1, "cannot be found"),
    ("paths", "ARCHITECTURE.md", "…\nSee `Sources/Core/Gone.swift`.\n", None, "Sources/Core/Gone.swift does not exist"),
    ("paths", "docs/planted.md", "[there](nowhere.md)\n", 1, "leads nowhere"),
    ("generated", "proto/florin/ledger/v1/ledger.proto", "…\nmessage Planted { string planted = 1; }\n", None, "generated code is not what proto/ says"),
]

# Whatever these rules say, it must not be about these files.
HARMLESS = {
    "Sources/Core/Money/Harmless.swift": (
        "/// Says what it is.\npublic struct Harmless: Sendable {\n  public enum Code { case one }\n"
        "  // Safe: never changed after the initializer.\n  nonisolated(unsafe) static let text = \"print(try! Double) \\(\"x\")\"\n}\n"),
    "Sources/Domain/SagaEngine/Harmless.swift": (
        "import Money\n\n/* print( /* Double */ try! */\nstruct Harmless {\n  var now: ContinuousClock.Instant\n"
        "  // check:allow(floating-point) a ratio of attempts, not money\n  var ratio: Double\n"
        "  var text = #\"Task { \\(not code) \"quoted\" }\"#\n}\n"),
    "Sources/Storage/Outbox/Harmless.swift": (
        "let statement: StaticString = \"DELETE FROM outbox WHERE id = $1\"\nlet message = \"\\(count) rows selected from here\"\n"),
    "Sources/Executables/florin/Harmless.swift": "func harmless() { print(\"for people\") }\n",
    "Sources/Services/AccountService/Harmless.swift": f'let released = Migration(version: 901, name: "kept", sql: {Q}\n      SELECT 1;\n      {Q})\n',
}
LOCKED = (
    "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a AccountService 900 planted\n"
    "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a AccountService 901 kept\n")


def _check(copy, rule, environment):
    run = subprocess.run(
        [sys.executable, "-B", os.path.join(copy, "scripts/tidy"), "--root", copy, "--only", rule], capture_output=True, text=True, env=environment)
    return run.returncode, run.stdout + run.stderr


def _plugin(root):
    """The generated code is checked with the real plugin, built once. Returns the environment that names it."""
    if "FLORIN_PROTOC_PLUGIN" in os.environ:
        return dict(os.environ)
    build = subprocess.run(["swift", "build", "-j", "2", "--product", "protoc-gen-florin"], cwd=root, stdout=subprocess.DEVNULL)
    where = subprocess.run(["swift", "build", "--show-bin-path"], cwd=root, capture_output=True, text=True).stdout.strip()
    if build.returncode != 0:
        print("self-test: protoc-gen-florin does not build, so that `generated` cannot be tested", file=sys.stderr)
    return dict(os.environ, FLORIN_PROTOC_PLUGIN=os.path.join(where, "protoc-gen-florin"))


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _planted(before, text):
    if isinstance(text, tuple):
        return before.replace(*text, 1)
    return before + text[1:] if text.startswith("…") else text


def run(root):
    failures = 0
    environment = _plugin(root)
    with tempfile.TemporaryDirectory(prefix="florin-check-") as folder:
        copy = os.path.join(folder, "tree")
        shutil.copytree(
            root, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".build*", ".swiftpm", ".florin*", "dev", "__pycache__", ".venv"))
        for path, text in HARMLESS.items():
            _write(os.path.join(copy, path), text)
        _write(os.path.join(copy, "scripts/migrations.lock"), LOCKED)
        innocent = 'let planted = Migration(version: 900, name: "planted", sql: "SELECT 1;")\n'
        locked = os.path.join(copy, "Sources/Services/AccountService/Planted.swift")
        _write(locked, innocent)
        for rule in dict.fromkeys(case[0] for case in CASES if case[0] != "format"):
            _, said = _check(copy, rule, environment)
            for path in HARMLESS:
                if f"{path}:" in said and ": error:" in said.split(f"{path}:")[1].split("\n")[0]:
                    failures += 1
                    print(f"{rule}: reports the harmless {path}:\n{said}")
        os.remove(locked)
        for rule, path, text, line, words in CASES:
            target = os.path.join(copy, path)
            before = open(target, encoding="utf-8").read() if os.path.exists(target) else None
            _write(target, _planted(before, text))
            code, said = _check(copy, rule, environment)
            where = f"{path}:{line}: error:" if line else ": error:"
            caught = code == 1 and any(where in part and words in part + following for part, following in zip(said.split("\n"), said.split("\n")[1:]))
            print(f"{rule:15} {'caught' if caught else 'MISSED'}: {words}", flush=True)
            if not caught:
                failures += 1
                print(said)
            if before is None:
                os.remove(target)
            else:
                _write(target, before)
    print(f"self-test: {len(CASES)} planted, {failures} failures")
    return 1 if failures else 0
