"""The command line: help, version, exit codes, and data on standard output alone.

Goal: every command answers --help and --version, ends with the exit code that was promised, and
never mixes messages into data.
Method: run the binary named by NILAI_TEST_BINARY as a shell would.
"""

import io
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import msgpack
import yaml

BINARY = os.environ["NILAI_TEST_BINARY"]
SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "config" / "nilai.yaml"

OK, USAGE, DATA, FILE, CONFIG = 0, 64, 65, 74, 78
PATIENCE_S = 240


def nilai(*arguments, data=b"", env=None, **more):
    """Runs the program with a clean environment; returns the finished process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NILAI_")}
    return subprocess.run([BINARY, *arguments], input=data, env={**clean, **(env or {})},
                          capture_output=True, timeout=PATIENCE_S, **more)


def commands():
    """The commands that the program lists."""
    lines = nilai("--help").stdout.decode().split("Commands:\n")[1].split("\n\n")[0].splitlines()
    return [line.split()[0] for line in lines if line.split()[0] != "help"]


class Frame(unittest.TestCase):
    def test_help_is_data(self):
        for arguments in (["--help"], ["help"], ["-h"], ["help", "settings"]):
            done = nilai(*arguments)
            self.assertEqual((done.returncode, done.stderr), (OK, b""), arguments)
            self.assertGreater(len(done.stdout.splitlines()), 5)

    def test_every_command_has_help_and_version(self):
        version = nilai("--version").stdout
        self.assertRegex(version.decode(), r"^nilai \d+\.\d+\.\d+\n$")
        self.assertIn("check", commands())
        for command in commands():
            helps = nilai(command, "--help")
            self.assertEqual((helps.returncode, helps.stderr), (OK, b""), command)
            self.assertIn(b"Usage: nilai " + command.encode(), helps.stdout)
            self.assertEqual(nilai("help", command).stdout, helps.stdout)
            answer = nilai(command, "--version")
            self.assertEqual((answer.returncode, answer.stdout, answer.stderr), (OK, version, b""), command)
            self.assertEqual(nilai(command, "-h").stdout, nilai(command, "--help").stdout, command)

    def test_misuse_ends_with_64_and_no_data(self):
        cases = [[], ["chek"], ["help", "chek"], ["--nonsense"]]
        cases += [[command, "--nonsense"] for command in commands()]
        cases += [[command] + ["x"] * 9 for command in commands()]
        for arguments in cases:
            done = nilai(*arguments)
            self.assertEqual((done.returncode, done.stdout), (USAGE, b""), arguments)
            self.assertTrue(done.stderr)
        self.assertIn(b"did you mean check?", nilai("chek").stderr)
        done = nilai("loadgen", "--out", "-", "--bad-classes", "malformed,bogus")
        self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
        self.assertIn(b"bogus", done.stderr)
        for day in ("2027-02-30", "2027-04-31T00:00:00Z", "2027-01-01T24:00:00Z"):
            self.assertEqual(nilai("replay", "--until", day).returncode, USAGE, day)
        self.assertEqual(nilai("replay", "--until", "2028-02-29").returncode, OK)
        self.assertIn(b"--nonsense", nilai("check", "--nonsense").stderr)

    def test_output_that_is_lost_is_an_error(self):
        """Also where the program notices only at its end; and it is said once."""
        event = b'{"id":"1","type":"purchase","customer":"a","ts":1,"amount":1}\n'
        for command in ("--help", "replay", "encode", "check", "loadgen --events 9 --out -"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([BINARY, *command.split()], stdout=full, stderr=subprocess.PIPE,
                                      input=event, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, FILE, command)
            self.assertEqual(done.stderr.count(b"No space left"), 1, command)


class Check(unittest.TestCase):
    def test_the_effective_configuration_is_yaml_and_reads_back(self):
        done = nilai("check", "-c", str(SAMPLE), "--set", "alerts.medium.up=0.45",
                     "--set", "currency.rates.EUR=1.08", env={"NILAI_GROUP": "shop: 1"})
        self.assertEqual((done.returncode, done.stderr), (OK, b""))
        effective = yaml.safe_load(done.stdout)
        self.assertEqual(effective["alerts"]["medium"]["up"], 0.45)
        self.assertEqual(effective["currency"]["rates"], {"EUR": 1.08})
        self.assertEqual(effective["group"], "shop: 1")
        self.assertEqual(effective["input"]["topics"], ["purchases", "support-tickets", "surveys"])
        self.assertEqual(effective["kafka"], {"bootstrap.servers": "localhost:9092"})
        again = nilai("check", "-c", "/dev/stdin", data=done.stdout)
        self.assertEqual((again.returncode, again.stdout), (OK, done.stdout))

    def test_the_sample_is_the_one_in_the_tree(self):
        self.assertEqual(nilai("check", "--sample").stdout, SAMPLE.read_bytes())

    def test_a_bad_configuration_ends_with_78_and_says_where(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("group: g\nalerts:\n  cause_mni: 1\n")
            file.flush()
            done = nilai("check", "-c", file.name)
        self.assertEqual((done.returncode, done.stdout), (CONFIG, b""))
        self.assertIn(f"{file.name}:3: alerts.cause_mni".encode(), done.stderr)
        self.assertIn(b"did you mean alerts.cause_min?", done.stderr)
        for arguments, env, says in (
            (["-c", "/no/such/file"], {}, b"/no/such/file"),
            (["--set", "workers=0"], {}, b"--set: workers: `0` is not within 1 .. 256"),
            (["--set", "value.cuts.c=90"], {}, b"value.cuts"),
            ([], {"NILAI_WORKERS": "many"}, b"NILAI_WORKERS: workers"),
            ([], {"NILAI_NOTHING": "1"}, b"NILAI_NOTHING"),
            ([], {"NILAI_KAFKA_ACKS": "1"}, b"kafka.acks can only be all"),
        ):
            done = nilai("check", *arguments, env=env)
            self.assertEqual((done.returncode, done.stdout), (CONFIG, b""), arguments)
            self.assertIn(says, done.stderr)

    def test_secrets_are_not_shown(self):
        done = nilai("check", env={"NILAI_KAFKA_SASL_PASSWORD": "hunter2"})
        self.assertEqual(done.returncode, OK)
        self.assertNotIn(b"hunter2", done.stdout + done.stderr)
        self.assertIn(b"sasl.password", done.stdout)
        refused = nilai("check", "--set", "kafka.sasl.password=hunter2")
        self.assertEqual(refused.returncode, CONFIG)
        self.assertNotIn(b"hunter2", refused.stdout + refused.stderr)

    def test_variables_of_tests_are_left_alone(self):
        self.assertEqual(nilai("check", env={"NILAI_TEST_ANYTHING": "x"}).returncode, OK)


class Convert(unittest.TestCase):
    VALUES = [{"id": "e1", "amount": 12.5, "n": [1, -2, None, True, 1.0, 2**63]}, {}, [], "text \u00e9\u0000", 7]

    def test_there_and_back(self):
        lines = "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in self.VALUES)
        encoded = nilai("encode", data=lines.encode())
        self.assertEqual((encoded.returncode, encoded.stderr), (OK, b""))
        self.assertEqual(list(msgpack.Unpacker(io.BytesIO(encoded.stdout))), self.VALUES)
        decoded = nilai("decode", "-", data=encoded.stdout)
        self.assertEqual((decoded.returncode, decoded.stderr), (OK, b""))
        self.assertEqual([json.loads(line) for line in decoded.stdout.splitlines()], self.VALUES)

    def test_a_file_is_read_as_standard_input_is(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b'{"a":1}\n\n  \n{"b":2}')
            file.flush()
            done = nilai("encode", file.name)
        self.assertEqual((done.returncode, done.stdout), (OK, b"\x81\xa1a\x01\x81\xa1b\x02"))

    def test_an_empty_input_is_an_empty_output(self):
        for command in ("encode", "decode"):
            done = nilai(command)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (OK, b"", b""))

    def test_a_bad_line_is_named_and_what_came_before_is_kept(self):
        done = nilai("encode", data=b'{"a":1}\n{"a":}\n{"b":2}\n')
        self.assertEqual((done.returncode, done.stdout), (DATA, b"\x81\xa1a\x01"))
        self.assertRegex(done.stderr, rb"^nilai encode: line 2: .*byte \d+")

    def test_a_bad_value_is_named(self):
        for data in (b"\x01\xc1\x02", b"\x01\xc4\x01x", b"\x01\xcb\x7f\xf0\0\0\0\0\0\0", b"\x01\x92\x01"):
            done = nilai("decode", data=data)
            self.assertEqual((done.returncode, done.stdout), (DATA, b"1\n"), data)
            self.assertRegex(done.stderr, rb"^nilai decode: value 2: ")

    def test_a_file_that_is_not_there_is_named(self):
        for command in ("encode", "decode", "replay"):
            done = nilai(command, "/no/such/file")
            self.assertEqual((done.returncode, done.stdout), (FILE, b""))
            self.assertIn(b"/no/such/file", done.stderr)


if __name__ == "__main__":
    unittest.main()
