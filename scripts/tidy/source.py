"""The files of the tree, and Swift source split into code, comments and strings."""

import dataclasses
import functools
import os
import re

# Never looked into: built, fetched or made at run time.
SKIPPED = {".git", ".swiftpm", ".venv", "__pycache__", "node_modules", ".index-build"}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    what: str
    remedy: str
    is_warning: bool = False

    def __str__(self):
        kind = "warning" if self.is_warning else "error"
        return f"{self.path}:{self.line}: {kind}: {self.what} [{self.rule}]\n    {self.remedy}"


@dataclasses.dataclass(frozen=True)
class Literal:
    """A string literal: where it starts, what is between its quotes, and whether something is interpolated."""

    line: int
    text: str
    is_interpolated: bool
    is_multiline: bool
    start: int
    end: int


class SwiftSource:
    """`code` is the text with the contents of comments and strings blanked out: same length, same lines."""

    _TOKEN = re.compile(r'//|/\*|\*/|#*"""|#*"|[()]')

    def __init__(self, text):
        self.text = text
        self.lines = text.split("\n")
        self.comments = {}  # line number → text of the comments that start or go on there
        self.literals = []
        self._blank = []  # (start, end) to be blanked
        self._lex()
        code = list(text)
        for start, end in self._blank:
            for index in range(start, end):
                if code[index] != "\n":
                    code[index] = " "
        self.code = "".join(code)
        self.code_lines = self.code.split("\n")

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def _note_comment(self, start, end):
        first = self.line_of(start)
        for number, part in enumerate(self.text[start:end].split("\n"), first):
            self.comments[number] = self.comments.get(number, "") + part
        self._blank.append((start, end))

    def _lex(self):
        text, position, depth = self.text, 0, []  # depth: open parentheses of each enclosing interpolation
        strings = []  # enclosing strings: [start of contents, hashes, is multi-line, is interpolated, start of this piece]
        while True:
            match = self._TOKEN.search(text, position)
            if not match:
                return
            token, position = match.group(), match.end()
            if token == "//":
                end = text.find("\n", position)
                end = len(text) if end < 0 else end
                self._note_comment(match.start(), end)
                position = end
            elif token == "/*":
                level = 1
                while level and position < len(text):
                    inner = re.compile(r"/\*|\*/").search(text, position)
                    if not inner:
                        position = len(text)
                        break
                    level += 1 if inner.group() == "/*" else -1
                    position = inner.end()
                self._note_comment(match.start(), position)
            elif token == "(":
                if depth:
                    depth[-1] += 1
            elif token == ")":
                if depth:
                    depth[-1] -= 1
                    if depth[-1] == 0:  # the interpolation ends; its string goes on
                        depth.pop()
                        string = strings.pop()
                        string[4] = position
                        position = self._string(string, strings, depth)
            elif '"' in token:
                hashes = token.count("#")
                string = [position, hashes, '"""' in token, False, position]
                position = self._string(string, strings, depth)

    def _string(self, string, strings, depth):
        """Goes on inside a string; returns where code goes on."""
        text, (start, hashes, is_multiline, _, piece) = self.text, string
        closing = ('"""' if is_multiline else '"') + "#" * hashes
        escape = "\\" + "#" * hashes
        position = piece
        while position < len(text):
            if text.startswith(escape, position):
                after = position + len(escape)
                if text.startswith("(", after):
                    string[3] = True
                    self._blank.append((piece, position))
                    strings.append(string)
                    depth.append(1)
                    return after + 1
                position = after + 1
            elif text.startswith(closing, position):
                self._blank.append((piece, position))
                self.literals.append(
                    Literal(self.line_of(start), text[start:position], string[3], is_multiline, start, position))
                return position + len(closing)
            elif text[position] == "\n" and not is_multiline:
                self._blank.append((piece, position))  # not valid Swift: the compiler says more
                return position
            else:
                position += 1
        self._blank.append((piece, len(text)))
        return len(text)

    def comment_near(self, line):
        """The comment on this line, and the block of comments right above it (attributes in between do not count)."""
        found = [self.comments.get(line, "")]
        above = line - 1
        while above > 0 and self.lines[above - 1].lstrip().startswith("@"):
            above -= 1
        while above > 0 and above in self.comments and not self.code_lines[above - 1].strip():
            found.append(self.comments[above])
            above -= 1
        return "\n".join(found)

    def allows(self, rule, line):
        """Is there a `check:allow(RULE) reason` on the line or right above it? Without a reason it does not count."""
        return re.search(r"check:allow\(" + rule + r"\)\W*\w.{8,}", self.comment_near(line)) is not None


class Tree:
    """A working tree, with everything read at most once."""

    def __init__(self, root):
        self.root = os.path.abspath(root)

    def path(self, relative):
        return os.path.join(self.root, relative)

    def exists(self, relative):
        return os.path.exists(self.path(relative))

    @functools.lru_cache(maxsize=None)
    def files(self):
        found = []
        for folder, folders, names in os.walk(self.root):
            relative = os.path.relpath(folder, self.root)
            folders[:] = sorted(
                name for name in folders
                if name not in SKIPPED and not name.startswith((".build", ".florin"))
                and os.path.normpath(os.path.join(relative, name)) != os.path.join("certs", "dev"))
            found += [os.path.normpath(os.path.join(relative, name)) for name in sorted(names)]
        return found

    def matching(self, prefixes, suffixes):
        return [path for path in self.files() if path.startswith(prefixes) and path.endswith(suffixes)]

    @functools.lru_cache(maxsize=None)
    def text(self, relative):
        with open(self.path(relative), encoding="utf-8", errors="replace") as file:
            return file.read()

    @functools.lru_cache(maxsize=None)
    def swift(self, relative):
        return SwiftSource(self.text(relative))


def is_generated(path):
    return "/Generated/" in path or path.endswith((".pb-c.c", ".pb-c.h"))
