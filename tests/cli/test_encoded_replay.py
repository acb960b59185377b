"""The two formats of events: what is computed does not depend on which one they come in.

Goal: events as MessagePack lead to the changes that the same events lead to as JSON.
Method: random events as JSON, and what `nilai encode` makes of them, both replayed; the changes
are compared customer by customer, whole, but for the place of the cause in its file (lines with
nothing on them count there as JSON).
"""

import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

BINARY = os.environ["NILAI_TEST_BINARY"]
REFERENCE = pathlib.Path(__file__).resolve().parents[1] / "reference"
SEED = int(os.environ.get("NILAI_TEST_SEED") or random.SystemRandom().randrange(10**9))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def random_events(*arguments):
    return run(sys.executable, str(REFERENCE / "random_events.py"), *arguments)


def changes(file, options):
    """By customer, without offsets."""
    by_customer = collections.defaultdict(list)
    for line in run(BINARY, "replay", *options, str(file)).splitlines():
        change = json.loads(line)
        change["value"]["cause"].pop("offset", None)  # a deadline has none
        by_customer[change["key"]].append(change)
    return by_customer


class Formats(unittest.TestCase):
    def test_encoded_events_lead_to_the_same_changes(self):
        print(f"seed {SEED}", file=sys.stderr)
        options = random_events("--options").decode().split()
        with tempfile.TemporaryDirectory() as folder:
            text, packed = pathlib.Path(folder) / "events.json", pathlib.Path(folder) / "events.msgpack"
            text.write_bytes(random_events("--seed", str(SEED), "--events", "5000", "--bad", "0"))
            packed.write_bytes(run(BINARY, "encode", str(text)))
            expected, encoded = changes(text, options), changes(packed, options)
        self.assertGreater(len(expected), 20)
        self.assertGreater(sum(map(len, expected.values())), 500)
        self.assertEqual(encoded.keys(), expected.keys())
        for customer, list_of_customer in expected.items():
            self.assertEqual(encoded[customer], list_of_customer, customer)


if __name__ == "__main__":
    unittest.main()
