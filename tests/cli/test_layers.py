"""The shape of the source tree is what it says it is.

Goal: no file includes a layer above its own, no library leaks out of the files that own it,
every public header stands alone, and nothing tracked names the machine it was written on.
Method: read every tracked file; each rule is also shown input that breaks it.
"""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("NILAI_TEST_CC", "gcc")

# What a layer may include besides itself: base <- event <- customer <- state <- run; base <- io <- run.
BELOW = {
    "base": set(),
    "event": {"base"},
    "customer": {"base", "event"},
    "state": {"base", "event", "customer"},
    "io": {"base"},
    "run": {"base", "event", "customer", "state", "io"},
}

# A library's header, and the files that may include it.
OWNERS = {
    r"(librdkafka/)?rdkafka.*\.h": r"src/io/kafka_\w+\.[ch]",
    r"uv(/.*)?\.h": r"src/(io|run)/\w+\.[ch]",
    r"msgpack(/.*)?\.h": r"src/event/(encode|convert)\.c",
    r"lz4\.h": r"src/state/image\.c",
    r"yajl/.*\.h": r"src/event/(json\.h|(encode|convert)\.c)",
    r"yaml\.h": r"src/run/config\w*\.c",
    r"xxhash\.h": r"src/base/hash\.c",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)

# Written so that this file does not break its own rule.
MACHINE = re.compile(
    rb"(?<![\w.-])/(?:work|home|root)/"
    rb"|repo1?[.]maven|maven[.]apache[.]org/maven2|pypi[.]org|pythonhosted[.]org|deb[.]debian[.]org"
    rb"|security[.]debian[.]org|registry[.]npmjs[.]org|crates[.]io|proxy[.]golang[.]org")


def layer_of(path):
    """The layer of a source file or of an included name; None outside of all layers."""
    match = re.match(r"(?:src|include/nilai|nilai)/(\w+)/", path)
    return match[1] if match else None


def layer_faults(path, text):
    own = layer_of(path)
    if own not in BELOW:
        return [f"{path}: in no known layer"]
    faults = []
    for name in INCLUDE.findall(text):
        other = layer_of(name)
        if ".." in name.split("/"):
            faults.append(f"{path}: {name} walks out of its directory")
        elif other is not None and other != own and other not in BELOW[own]:
            faults.append(f"{path}: {own} may not include {name}")
    return faults


def owner_faults(path, text):
    return [f"{path}: {name} belongs to {owner}"
            for name in INCLUDE.findall(text)
            for header, owner in OWNERS.items()
            if re.fullmatch(header, name) and not re.fullmatch(owner, path)]


def machine_faults(path, content):
    return [f"{path}: {match[0].decode()}" for match in MACHINE.finditer(content)]


def lone_faults(header, compiler=COMPILER, include=ROOT / "include"):
    """What the compiler says about a file that includes nothing but this header."""
    ended = subprocess.run(
        [compiler, "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         f"-I{include}", "-x", "c", "-"],
        input=f'#include "{header}"\n', capture_output=True, text=True)
    return [f"{header}: {ended.stderr.strip()}"] if ended.returncode else []


def idle_faults(path, text):
    return [] if re.search(r"^if __name__ == .__main__.:", text, re.MULTILINE) else [
        f"{path}: run as a program it tests nothing"]


def tracked(*patterns):
    listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--",
                             *patterns], cwd=ROOT, check=True, capture_output=True)
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def sources():
    return tracked("src/*.c", "src/*.h", "include/*.h")


class Tree(unittest.TestCase):
    def check(self, paths, faults_of, read=pathlib.Path.read_text):
        self.assertTrue(paths, "nothing to check")
        faults = [fault for path in paths for fault in faults_of(path, read(ROOT / path))]
        self.assertFalse(faults, "\n".join(["", *faults]))

    def test_no_layer_includes_one_above_it(self):
        self.check(sources(), layer_faults)

    def test_libraries_stay_in_the_files_that_own_them(self):
        self.check(sources(), owner_faults)

    def test_every_public_header_compiles_alone(self):
        self.check(tracked("include/*.h"),
                   lambda path, _: lone_faults(path.removeprefix("include/")))

    def test_nothing_tracked_names_the_machine_it_was_written_on(self):
        self.check(tracked(), machine_faults, pathlib.Path.read_bytes)

    def test_every_python_test_runs_when_run(self):
        self.check(tracked("tests/*/test_*.py"), idle_faults)


class Rules(unittest.TestCase):
    """Each rule finds what it is there to find, and lets the like of it pass."""

    def test_an_upward_include_is_found(self):
        for path, name in (("src/base/clock.c", "nilai/event/event.h"),
                           ("include/nilai/event/event.h", "nilai/customer/model.h"),
                           ("src/state/table.c", "nilai/io/source.h"),
                           ("src/io/kafka_source.c", "nilai/event/event.h"),
                           ("src/io/kafka_source.c", "nilai/run/config.h"),
                           ("src/base/clock.c", "../event/fields.h"),
                           ("src/other/new.c", "nilai/base/base.h")):
            with self.subTest(path=path, name=name):
                self.assertEqual(len(layer_faults(path, f'#include <x.h>\n # include "{name}"')), 1)
        self.assertEqual(layer_faults("src/run/main.c", '#include "nilai/io/sink.h"'), [])
        self.assertEqual(layer_faults("src/event/decode.c", '#include "fields.h"'), [])

    def test_a_leaked_library_is_found(self):
        for path, name in (("src/io/source.c", "librdkafka/rdkafka.h"),
                           ("include/nilai/io/kafka_source.h", "librdkafka/rdkafka.h"),
                           ("src/state/timers.c", "uv.h"),
                           ("src/event/decode_msgpack.c", "msgpack.h"),
                           ("src/run/convert_command.c", "msgpack/object.h"),
                           ("src/event/decode.c", "yajl/yajl_parse.h"),
                           ("src/run/service.c", "yaml.h"),
                           ("src/state/table.c", "xxhash.h")):
            with self.subTest(path=path, name=name):
                self.assertEqual(len(owner_faults(path, f"#include <{name}>")), 1)
        self.assertEqual(owner_faults("src/io/kafka_sink.c", "#include <librdkafka/rdkafka.h>"), [])
        self.assertEqual(owner_faults("src/run/worker.c", "#include <uv.h>"), [])

    def test_a_header_that_leans_on_another_is_found(self):
        self.assertEqual(len(lone_faults("nilai/no_such_header.h")), 1)
        self.assertEqual(lone_faults("stdint.h"), [])

    def test_a_path_or_a_host_of_the_machine_is_found(self):
        for text in ("/" "home/ana/nilai", 'see "/' 'root/x"', "(/" "work/main)",
                     "https://pypi" ".org/simple", "http://deb.debian" ".org/debian"):
            with self.subTest(text):
                self.assertEqual(len(machine_faults("README.md", text.encode())), 1)
        self.assertEqual(machine_faults("README.md", b"src/work/x.c ./home/a your/root/b"), [])

    def test_a_python_test_that_runs_nothing_is_found(self):
        self.assertEqual(len(idle_faults("tests/cli/test_x.py", "def test(): pass\n")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
