"""`nilai demo`: everything in one process, on a terminal and without one.

Goal: with nothing set up, the demo shows events, changes and alerts that silence alone raised;
it fits its terminal, leaves it as it was, and ends when it is told to.
Method: run the program into a pipe and under a pseudo-terminal; read what it wrote as a
terminal would.
"""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import fcntl
import time
import unittest

BINARY = os.environ["NILAI_TEST_BINARY"]

OK, USAGE, CONFIG = 0, 64, 78
SMALL = ["--customers", "3000", "--rate", "500", "--history", "200"]
PATIENCE_S = 400  # of a sanitizer's build on a busy machine

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
ATTRIBUTES = re.compile(rb"\x1b\[[0-9;]*m")
PLACED = re.compile(rb"\x1b\[(\d+);1H\x1b\[K")


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NILAI_")}
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR"):
        clean.pop(name, None)
    return {**clean, "TERM": "xterm", "LANG": "C.UTF-8", **more}


def number(text):
    return int(text.replace(",", ""))


class Lines(unittest.TestCase):
    def test_a_short_demo_tells_events_changes_and_silence(self):
        out = self.run_until(
            r"^\d{4}-\d\d-\d\d (HIGH RISK|medium risk) c\d{10}: .*; by time alone\. "
            r"No purchase for \d+\.\d days; half of this customer's gaps",
            *[r"^\d{4}-\d\d-\d\d live: [1-9]\d* events/s, \d{4,} customers .* [1-9]\d* changes/s"] * 2)
        self.assertNotIn("\x1b", out)
        summary = out[out.index("nilai demo: simulated"):]
        self.assertGreater(number(re.search(r"events +([\d,]+)\n", summary)[1]), 1000)
        self.assertRegex(summary, r"live +[\d,]+ in ")
        self.assertLessEqual(max(map(len, summary.splitlines())), 80)
        self.assertGreater(number(re.search(r"customers +([\d,]+);", summary)[1]), 1000)
        self.assertGreater(number(re.search(r"changes +([\d,]+)\n", summary)[1]), 1000)
        self.assertGreater(number(re.search(r"of risk ([\d,]+) by time alone", summary)[1]), 0)
        self.assertGreater(number(re.search(r"alerts +([\d,]+) customers", summary)[1]), 0)
        median, high = map(float, re.search(r"median ([\d.]+) ms, 99 % below ([\d.]+) ms",
                                            summary).groups())
        self.assertTrue(0 < median <= high)

    def run_until(self, *patterns):
        """Ends the demo when each of the lines has been there, one for each pattern."""
        left, lines = list(patterns), []
        with subprocess.Popen([BINARY, "demo", *SMALL], env=environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            ends = time.monotonic() + PATIENCE_S
            while left and (line := process.stdout.readline()) and time.monotonic() < ends:
                lines.append(line)
                found = [pattern for pattern in left if re.search(pattern, line)]
                for pattern in found[:1]:
                    left.remove(pattern)
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((left, process.returncode, errors), ([], OK, ""), lines)
        return "".join(lines) + rest

    def test_the_customers_add_up(self):
        done = subprocess.run([BINARY, "demo", "--seconds", "5", *SMALL], env=environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
        out = done.stdout.decode()
        customers, low, medium, high = map(number, re.search(
            r"customers +([\d,]+); risk: low ([\d,]+), medium ([\d,]+), high ([\d,]+)", out).groups())
        segments = sum(map(number, re.findall(r"[a-z] ([\d,]+)", re.search(
            r"segments +(.*\n.*)", out)[1])))
        self.assertEqual(low + medium + high, customers)
        self.assertEqual(segments, customers)

    def test_misuse_is_named(self):
        for arguments, status in ((["--customers", "0"], USAGE), (["--speed", "x"], USAGE),
                                  (["--partitions", "65"], USAGE), (["--seconds", "0"], USAGE),
                                  (["--seconds", "86400", "--speed", "365"], USAGE),
                                  (["--set", "alerts.high.up=7"], CONFIG), (["extra"], USAGE)):
            done = subprocess.run([BINARY, "demo", *arguments], env=environment(),
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
            self.assertEqual((done.returncode, done.stdout), (status, b""), arguments)
            self.assertTrue(done.stderr.startswith(b"nilai"), done.stderr)


class Terminal:
    """The demo under a pseudo-terminal."""

    def __init__(self, *arguments, columns=80, rows=24, **more):
        self.ours, theirs = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.seen = b""
        self.process = subprocess.Popen([BINARY, "demo", *SMALL, *arguments], stdin=theirs,
                                        stdout=theirs, stderr=theirs, env=environment(**more),
                                        start_new_session=True)

    def resize(self, columns, rows):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """Takes what comes within that time; False if nothing does."""
        ready = bool(select.select([self.ours], [], [], seconds)[0])
        if ready:
            self.seen += os.read(self.ours, 65536)
        return ready

    def read_until(self, pattern):
        """Whether it is in colour does not count."""
        ends = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.seen) and not re.search(pattern, self.text()):
            if time.monotonic() > ends or self.process.poll() is not None:
                raise AssertionError(f"never saw {pattern!r}; the end: {self.seen[-2000:]!r}")
            self.read(0.1)

    def text(self):
        return ATTRIBUTES.sub(b"", self.seen)

    def end(self):
        ends = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < ends:
            self.read(0.1)
        while self.read(0.2):
            pass
        return self.process.poll()

    def settings(self):
        return termios.tcgetattr(self.theirs)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


def placed_lines(page):
    """(row, visible text) of every line that was drawn."""
    parts = PLACED.split(page)
    return [(int(row), ATTRIBUTES.sub(b"", text).decode())
            for row, text in zip(parts[1::2], parts[2::2])]


class Screen(unittest.TestCase):
    def open(self, *arguments, **more):
        terminal = Terminal(*arguments, **more)
        self.addCleanup(terminal.close)
        return terminal

    def check_page(self, terminal, columns, rows):
        page = terminal.seen[terminal.seen.index(ENTER):terminal.seen.index(LEAVE)]
        page = page[page.index(b"\x1b[2J"):].replace(b"\x1b[2J", b"").replace(b"\x1b[0m\x1b[?7h\x1b[?25h", b"")
        lines = placed_lines(page)
        self.assertGreater(len(lines), 20)
        for row, text in lines:
            self.assertLessEqual(row, rows)
            self.assertLessEqual(len(text), columns, text)
            self.assertTrue(text == "" or text.isprintable(), ascii(text))
        return lines

    def check_restored(self, terminal):
        after = terminal.seen[terminal.seen.index(LEAVE):]
        self.assertEqual(terminal.settings(), terminal.before)
        self.assertEqual(terminal.seen.count(ENTER), terminal.seen.count(LEAVE))
        self.assertIn(b"\x1b[?25h", terminal.seen)
        self.assertNotIn(b"\x1b", after[len(LEAVE):])
        self.assertIn(b"nilai demo: simulated", after)

    def test_a_page_fits_80_by_24_and_q_ends_it(self):
        terminal = self.open()
        terminal.read_until(rb"event to change")
        terminal.read_until(rb"by time alone")
        terminal.read_until(rb"HIGH RISK  c00")
        self.assertNotEqual(terminal.settings(), terminal.before)
        os.write(terminal.ours, b"q")
        self.assertEqual(terminal.end(), OK)
        texts = [text for _, text in self.check_page(terminal, 80, 24)]
        self.assertTrue(any("CHURN RISK" in text for text in texts))
        self.assertTrue(any("HIGH RISK  c00" in text for text in texts))
        self.check_restored(terminal)

    def test_signals_end_it_in_order(self):
        for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number_):
                terminal = self.open()
                terminal.read_until(rb"so far")
                terminal.read_until(rb"catching up|event to change")
                terminal.process.send_signal(number_)
                self.assertEqual(terminal.end(), OK)
                self.check_restored(terminal)

    def test_a_stop_gives_the_terminal_back_until_it_goes_on(self):
        terminal = self.open()
        terminal.read_until(rb"catching up|event to change")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.read_until(re.escape(LEAVE))
        ends = time.monotonic() + PATIENCE_S
        while terminal.settings() != terminal.before and time.monotonic() < ends:
            time.sleep(0.01)
        self.assertEqual(terminal.settings(), terminal.before)
        self.assertIsNone(terminal.process.poll())
        terminal.process.send_signal(signal.SIGCONT)
        terminal.read_until(re.escape(LEAVE) + rb"(?s:.*)" + re.escape(ENTER) + rb"(?s:.*)WHAT CHANGED")
        os.write(terminal.ours, b"q")
        self.assertEqual(terminal.end(), OK)
        self.assertEqual(terminal.seen.count(ENTER), 2)
        terminal.seen = terminal.seen[terminal.seen.rindex(ENTER):]
        self.check_restored(terminal)

    def test_it_follows_the_size_of_the_terminal(self):
        terminal = self.open()
        terminal.read_until(rb"catching up|event to change")
        terminal.resize(50, 12)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.seen = terminal.seen[:terminal.seen.index(ENTER) + len(ENTER)]
        terminal.read_until(rb"\x1b\[2J")
        terminal.read_until(rb"\x1b\[12;1H")
        terminal.read_until(rb"WHAT CHANGED(?s:.*)WHAT CHANGED(?s:.*)WHAT CHANGED")
        os.write(terminal.ours, b"q")
        self.assertEqual(terminal.end(), OK)
        # What was on its way before the resize is not judged.
        terminal.seen = ENTER + terminal.seen[terminal.seen.index(b"\x1b[2J"):]
        self.check_page(terminal, 50, 12)

    def test_colours_and_unicode_are_optional(self):
        terminal = self.open("--seconds", "3", NO_COLOR="1", LANG="C")
        self.assertEqual(terminal.end(), OK)
        page = terminal.seen[terminal.seen.index(ENTER):terminal.seen.index(LEAVE)]
        self.assertNotRegex(page, rb"\x1b\[[1-9;]*m")
        self.assertTrue(page.isascii())

    def test_a_dumb_terminal_gets_lines(self):
        terminal = self.open("--seconds", "2", TERM="dumb")
        self.assertEqual(terminal.end(), OK)
        self.assertNotIn(b"\x1b", terminal.seen)
        self.assertIn(b"nilai demo: simulated", terminal.seen)


if __name__ == "__main__":
    unittest.main(verbosity=2)
