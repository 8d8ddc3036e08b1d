"""Runs the rules. See scripts/check.sh."""

import argparse
import os
import subprocess
import sys

import bans
import documents
import layers
import migrations
from source import Finding, Tree


def check_generated(tree):
    run = subprocess.run(["scripts/proto.sh", "--check"], cwd=tree.root, capture_output=True, text=True)
    if run.returncode != 0:
        said = (run.stdout + run.stderr).strip().splitlines()
        yield Finding("proto", 1, "generated", "generated code is not what proto/ says: " + "; ".join(said[-3:])[:400], "make proto, and commit what it writes.")


RULES = {
    "layers": layers.check_layers,
    "architecture": layers.check_architecture_table,
    "format": bans.check_format,
    "documented": bans.check_documented,
    "length": bans.check_length,
    "print": bans.check_print,
    "force-try": bans.check_force_try,
    "unchecked": bans.check_unchecked,
    "floating-point": bans.check_floating_point,
    "purity": bans.check_purity,
    "sql": bans.check_sql,
    "leftover": bans.check_leftovers,
    "migrations": migrations.check_migrations,
    "paths": documents.check_paths,
    "generated": check_generated,
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/check.sh", description="Style and structure of the whole tree.")
    parser.add_argument("--root", default=".", help="the tree to look at")
    parser.add_argument("--only", default=",".join(RULES), help="rules, with commas between")
    parser.add_argument("--list", action="store_true", help="name the rules")
    parser.add_argument("--self-test", action="store_true", help="is each rule able to catch something?")
    parser.add_argument("--release-migrations", action="store_true", help="add new migrations to scripts/migrations.lock")
    options = parser.parse_args()
    if options.list:
        print("\n".join(RULES))
        return 0
    if options.self_test:
        import selftest
        return selftest.run(os.path.abspath(options.root))
    tree = Tree(options.root)
    if options.release_migrations:
        for line in migrations.release(tree):
            print(f"released: {line}")
        return 0
    chosen = options.only.split(",")
    unknown = [name for name in chosen if name not in RULES]
    if unknown:
        print(f"scripts/check.sh: no rule is called {', '.join(unknown)}; there are: {', '.join(RULES)}", file=sys.stderr)
        return 2
    errors = warnings = 0
    for name in chosen:
        findings = list(RULES[name](tree))
        wrong = [finding for finding in findings if not finding.is_warning]
        print(f"{name:15} {'ok' if not wrong else f'{len(wrong)} wrong'}{f', {len(findings) - len(wrong)} warnings' if len(findings) > len(wrong) else ''}", flush=True)
        for finding in findings:
            print(finding, flush=True)
        errors += len(wrong)
        warnings += len(findings) - len(wrong)
    print(f"{errors} errors, {warnings} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
