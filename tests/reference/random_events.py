#!/usr/bin/env python3
"""random_events.py - nasty events of a few customers, as JSON lines, from a seed.

Late events, duplicates, ids used again, tickets in every order of states, odd scales,
money of many digits, erasures and stragglers, times on every boundary that the program
knows, long silences, and one line in twenty that is no event at all. The seed is
printed; the same seed gives the same bytes.

    python3 random_events.py --seed 7 --events 5000 --customers 100 > events.jsonl
    python3 nilai_reference.py events.jsonl $(python3 random_events.py --options) > a
    nilai replay               events.jsonl $(python3 random_events.py --options) > b
    python3 compare.py b a

--sharpen runs the reference once and adds events of no effect exactly at the seconds
at which deadlines fire, and a millisecond before and after.
"""
import argparse
import json
import random
import sys

import nilai_reference as reference

RATES = {"EUR": 1.0837, "JPY": 0.00671, "GBP": 1.2711, "KWD": 3.25}
START = 1_672_531_200_000  # 2023-01-01
SPAN_DAYS = 730
END = START + SPAN_DAYS * reference.DAY_MS
NOW = END + 86_400_000
DAY, HOUR = reference.DAY_MS, 3_600_000
SLA, OVERDUE, REMEMBER = 72 * HOUR, 30 * DAY, 30 * DAY
OPTIONS = [f"--set=currency.rates.{code}={rate}" for code, rate in RATES.items()]
OPTIONS += [f"--until={NOW + 500 * DAY}", f"--now={NOW}"]

NAMES = ["anna", "b", "cd", "efg", "Zoë", "客户", "k" * 64, "a" * 17, "a" * 32, "a" * 33, "with space", 'q"uote', "nul\0"]
FACTORS = [word.decode() for word in reference.FACTORS]


class Raw(str):
    """JSON text that is written as it stands."""


class Pairs(list):
    """The top map of an event under construction: (name, value), in any order."""

    def with_(self, name, value):
        return Pairs([(n, v) for n, v in self if n != name] + [(name, value)])

    def without(self, name):
        return Pairs((n, v) for n, v in self if n != name)

    def get(self, name):
        return next((v for n, v in self if n == name), None)


def write_value(value):
    if isinstance(value, Raw):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Shopper:
    """One customer's life, from which events are drawn in the order of arrival."""

    def __init__(self, rng, name, share):
        self.rng, self.name, self.events_left = rng, name, share
        self.pace = (SPAN_DAYS * DAY) / max(1, share)
        self.now = START + rng.randrange(30 * DAY)
        self.count = 0
        self.past = []  # events, as pairs
        self.ticket_times = {}
        self.erased_at = None
        self.mostly = rng.choice(["purchase", "ticket", "survey", None, None, None])
        self.size = rng.choice([3, 10, 25, 60, 200])
        self.shift = reference.xxh3_64(name.encode()) % reference.PERIOD_DAYS

    def next(self):
        """(time of arrival, pairs)"""
        rng = self.rng
        self.events_left -= 1
        self.now = min(END, self.now + self.step())
        if self.past and rng.random() < 0.04:  # seen before, lately or long ago
            return self.now, rng.choice(self.past[-12:])
        pairs = self.event(self.event_time())
        if self.past and rng.random() < 0.02:  # another event under an old id
            pairs = pairs.with_("id", rng.choice(self.past[-12:]).get("id"))
        self.past.append(pairs)
        return self.now, pairs

    def step(self):
        rng = self.rng
        if rng.random() < 0.05:
            return 0
        if rng.random() < 0.3:
            return self.to_a_boundary()
        if rng.random() < 0.04:
            return int(self.pace + min(200 * DAY, 20 * self.pace) * rng.random())
        return int(rng.expovariate(1 / (0.6 * self.pace)))

    def to_a_boundary(self):
        rng = self.rng
        now, nudge = self.now, rng.choice([-1, 0, 0, 0, 1])
        day = now // DAY + 1 + int(rng.expovariate(DAY / self.pace))
        period = (day - self.shift) // reference.PERIOD_DAYS + rng.choice([1, 1, 2, 13])
        targets = [day * DAY, (period * reference.PERIOD_DAYS + self.shift) * DAY, now - now % 1000 + 1000]
        for since in self.ticket_times.values():
            targets += [since + SLA, since + OVERDUE]
        if self.erased_at is not None:
            targets += [self.erased_at + REMEMBER]
        ahead = [t + nudge - now for t in targets if t + nudge > now]
        near = [wait for wait in ahead if wait < 2 * self.pace] or [int(self.pace)]
        return rng.choice(near if rng.random() < 0.95 else ahead + near)

    def event_time(self):
        rng = self.rng
        if rng.random() < 0.85:
            return self.now
        back = rng.choice([1, 1000, HOUR, DAY, 20 * DAY, 64 * DAY, 120 * DAY, 420 * DAY])
        ts = self.now - rng.randrange(back + 1)
        if rng.random() < 0.3:
            ts -= ts % DAY
        return max(0, ts)

    def event(self, ts):
        rng = self.rng
        self.count += 1
        kind = rng.choices(["purchase", "refund", "ticket", "survey", "erase"], [45, 6, 30, 18, 0.7])[0]
        if self.mostly and kind != "erase" and rng.random() < 0.6:
            kind = self.mostly
        pairs = Pairs([("id", f"{self.name[:20]}-{self.count}"), ("type", kind),
                       ("customer", self.name), ("ts", ts)])
        pairs += getattr(self, kind)(ts)
        return pairs

    def maybe(self, chance, *pair):
        return [pair] if self.rng.random() < chance else []

    def money(self):
        rng = self.rng
        amount = rng.choice([0, self.size, self.size * rng.lognormvariate(0, 0.6)])
        amount = self.size * rng.lognormvariate(0, 0.6) if rng.random() < 0.7 else amount
        return rng.choice([
            lambda: round(amount, 2), lambda: amount, lambda: int(amount),
            lambda: f"{amount:.2f}", lambda: f"{amount:.30f}", lambda: f"00{amount:.4f}50000",
            lambda: f"{amount:.4f}5", lambda: f"{int(amount)}", lambda: Raw(f"{amount:.6e}"),
            lambda: Raw(f"{amount:.3f}E+0"), lambda: Raw(f"{int(amount)}.00005"), lambda: Raw("-0.0"),
        ])()

    def purchase(self, ts):
        rng = self.rng
        pairs = [("amount", self.money())]
        pairs += self.maybe(0.2, "currency", rng.choice(["USD", *RATES]))
        pairs += self.maybe(0.4, "cost", self.money())
        pairs += self.maybe(0.1, "discount", self.money())
        pairs += self.maybe(0.1, "order", rng.choice(["", "o-17", "o" * 64]))
        pairs += self.maybe(0.1, "channel", "wéb")
        pairs += self.maybe(0.1, "items", [{"sku": "x", "amount": None}, {}])
        pairs += self.maybe(0.1, "referrer", rng.choice(NAMES))
        pairs += self.maybe(0.1, "status", 17)  # not a field of a purchase
        return pairs

    def refund(self, ts):
        return [("amount", self.money())] + self.maybe(0.2, "currency", self.rng.choice(list(RATES)))

    def ticket(self, ts):
        rng = self.rng
        name = f"t{rng.randrange(7)}"
        status = rng.choices(["opened", "pending", "resolved", "reopened", "closed"], [40, 5, 25, 10, 15])[0]
        if status in ("opened", "reopened"):
            self.ticket_times[name] = ts
        pairs = [("ticket", name), ("status", status)]
        pairs += self.maybe(0.6, "kind", rng.choice(["complaint", "complaint", "question", "request", "other"]))
        pairs += self.maybe(0.3, "handle_s", rng.choice([0, 60, 599.5, Raw("1.8e3"), 100000]))
        opened = self.ticket_times.get(name, ts) - rng.choice([0, 0, 1, SLA, SLA + 1, SLA - 1])
        pairs += self.maybe(0.4, "opened_ts", max(0, rng.choice([opened, ts - SLA, ts - SLA - 1, ts + 5])))
        pairs += self.maybe(0.1, "factor", rng.choice(FACTORS))
        pairs += self.maybe(0.1, "amount", "not looked at")
        return pairs

    def survey(self, ts):
        rng = self.rng
        metric = rng.choice(["nps", "csat", "ces", "rating"])
        scale = list(reference.SCALES[metric.encode()])
        pairs = [("metric", metric)]
        if rng.random() < 0.4:
            scale = rng.choice([[0, 10], [10, 0], [5, 1], [7, 1], [1, 100], [0.0, 1.0], [-3, 3], [1e-300, 1], [0, 3]])
            pairs += [("scale", scale)]
        worst, best = scale
        share = rng.choice([0, 1, 0.6, 0.9, 0.25, 1 / 3, rng.random(), rng.randrange(11) / 10])
        score = min(max(worst + share * (best - worst), min(scale)), max(scale))
        if score == int(score) and rng.random() < 0.5:
            score = int(score)
        return pairs + [("score", score)] + self.maybe(0.1, "factor", rng.choice(FACTORS))

    def erase(self, ts):
        self.erased_at = max(self.now, ts)
        return self.maybe(0.3, "ticket", "not looked at")


# ---------------------------------------------------------------------------------------
# Bad events
# ---------------------------------------------------------------------------------------

BIG = (1 << 20) + 1

MALFORMED = [
    lambda t: t[:-1], lambda t: t + b" {}", lambda t: t + b",", lambda t: b"[" + t + b"]",
    lambda t: b"\xef\xbb\xbf" + t, lambda t: t[:-1] + b",}", lambda t: b'"text"', lambda t: b"17", lambda t: b"null",
    lambda t: t[:-1] + b',"n":NaN}', lambda t: t[:-1] + b',"n":-Infinity}', lambda t: t[:-1] + b',"n":01}',
    lambda t: t[:-1] + b',"n":1.}', lambda t: t[:-1] + b',"n":.5}', lambda t: t[:-1] + b',"n":+1}',
    lambda t: t[:-1] + b',"n":1e}', lambda t: t[:-1] + b',"n":"\t"}', lambda t: t[:-1] + b',"n":"\x01"}',
    lambda t: t[:-1] + b',"n":"\\x41"}', lambda t: t[:-1] + b',"n":"\\u12g4"}', lambda t: t[:-1] + b",'n':1}",
    lambda t: t[:-1] + b',"n":"unended}', lambda t: t[:-1] + b',"n":' + b"[" * 8 + b"]" * 8 + b"}",
    lambda t: t[:-1] + b',"n":' + b'{"a":' * 8 + b"1" + b"}" * 9, lambda t: t[:-1] + b',"n"}', lambda t: t[:-1] + b",n:1}",
    lambda t: t[:-1] + b',"n":tru}', lambda t: t[:-1] + b',"n":[1 2]}', lambda t: b"\x0c" + t, lambda t: t + b"\x00",
    lambda t: t[: len(t) // 2], lambda t: b"[" * 100000, lambda t: t[:-1] + b',"n":[1}]', lambda t: b"// " + t,
]

# (fields that must be there, name, values that are wrong)
WRONG_TYPE = [
    ("id", [None, 5, True, ["x"], {}]), ("type", [None, 1, []]), ("customer", [None, 1.5, {}]),
    ("ts", [None, "1700000000000", Raw("1700000000000.0"), Raw("17e11"), Raw("1e999"), True]),
    ("amount", [None, True, "", "-1", "+1", "1e3", " 1", "1 ", "1.", ".5", "1,5", "0x1", "NaN", "١", [1], {}]),
    ("cost", [None, "free"]), ("discount", [False, ""]), ("currency", [None, 840]), ("order", [None, 12]),
    ("items", [None, {}, "x", [1], [{}, []]]), ("referrer", [None, 7]),
    ("ticket", [None, 17]), ("status", [None, 1]), ("kind", [None, False]), ("handle_s", [None, "60", []]),
    ("opened_ts", [None, "1", Raw("1.5")]), ("metric", [None, 3]), ("score", [None, "9", True]),
    ("scale", [None, 5, [], [1], [1, "5"], [1, 2, 3], [None, 1], {}]), ("factor", [None, 3]),
]
OUT_OF_RANGE = [
    ("id", ["", "x" * 65, "é" * 33, Raw('"\\ud800"'), Raw('"a\\udc00b"')]), ("customer", ["", "c" * 65, Raw('"\\udfff\\ud800"')]),
    ("ts", [-1, 253402300800000, Raw("9" * 30), Raw("-" + "9" * 5000)]),
    ("amount", [-1, -1e-9, Raw("100000000001"), Raw("1e999"), Raw("-1e999"), "100000000000.1", "9" * 400, Raw("1" + "0" * 500)]),
    ("cost", [-0.01, 1e12]), ("discount", [-5, "200000000000"]), ("currency", ["", "US", "USDX", "U$D", "ÜS", "12E"]),
    ("order", ["o" * 65, Raw('"\\udead"')]), ("channel", ["é" * 33]), ("referrer", ["", "r" * 65]),
    ("ticket", ["", "t" * 65]), ("handle_s", [-1, 1000000001, Raw("1e9999")]), ("opened_ts", [-1, 253402300800000]),
    ("score", [-50, 1000, Raw("1e999")]), ("scale", [[5, 5], [1, 1.0], Raw("[1e308,-1e308]"), Raw("[0,1e999]"), Raw("[1e999,1e999]")]),
    ("factor", [Raw('"\\ud801"')]), ("status", [Raw('"\\udc01"')]),
]
UNKNOWN_VALUE = [
    ("type", ["", "Purchase", "sale", "x" * 100]), ("status", ["", "open", "OPENED"]), ("kind", ["", "bug"]),
    ("metric", ["", "NPS", "ces2"]), ("factor", ["", "price"]),
]
UNKNOWN_CURRENCY = [("currency", ["XXX", "usd", "Eur", "CHF"])]


def spoil(rng, pairs):
    """The event with one thing wrong, as pairs or bytes."""
    how = rng.randrange(8)
    if how == 0:
        return rng.choice(MALFORMED)(render(rng, pairs, plain=True))
    if how == 1:
        name, value = rng.choice(pairs)
        return Pairs(pairs + [(name, rng.choice([value, None]))])
    if how == 2:
        return pairs.without(rng.choice(pairs)[0])
    if how == 3:
        return pairs.with_("ts", NOW + rng.choice([300_001, 400_000, 10**12]))
    table = {4: WRONG_TYPE, 5: OUT_OF_RANGE, 6: UNKNOWN_VALUE, 7: UNKNOWN_CURRENCY}[how]
    own = [(name, values) for name, values in table if rng.random() < 0.3 or pairs.get(name) is not None]
    name, values = rng.choice(own or table)
    return pairs.with_(name, rng.choice(values))


def spoil_more(rng, pairs):
    """Mostly one thing wrong; now and then several, of which the first counts."""
    while True:
        pairs = spoil(rng, pairs)
        if isinstance(pairs, bytes) or not pairs or rng.random() < 0.6:
            return pairs


# ---------------------------------------------------------------------------------------
# Lines
# ---------------------------------------------------------------------------------------

IGNORED = [
    b'"note":"\\ud83d\\ude00 \\ud800 \\"x\\""', b'"raw":"\xff\xfe\xc3"', b'"deep":[[[[[[[]]]]]]]', b'"deep":{"a":[{"b":[{"c":[{}]}]}]}',
    b'"note":1,"note":2', b'"big":1e999', b'"long":' + b"1" * 400, b'"\xff":0', b'"":""', b'"del":"\x7f"', b'"x":[1,-0,-1.5E-7,true,null]',
    b'"Amount":null', b'"amount\\u0000":null', b'"TS":{}',
]


def render(rng, pairs, plain=False):
    if not plain and rng.random() < 0.3:
        pairs = rng.sample(list(pairs), len(pairs))
    members = []
    for name, value in pairs:
        key = json.dumps(name)
        if not plain and rng.random() < 0.02:
            key = f'"\\u{ord(name[0]):04x}{name[1:]}"'
        text = write_value(value)
        if not plain and isinstance(value, str) and not isinstance(value, Raw) and rng.random() < 0.05:
            text = json.dumps(value, ensure_ascii=True)
        members.append(f"{key}:{text}".encode())
    if not plain and rng.random() < 0.05:
        members.insert(rng.randrange(len(members) + 1), rng.choice(IGNORED))
    comma = rng.choice([b", ", b",\t", b" ,\r"]) if not plain and rng.random() < 0.1 else b","
    line = b"{" + comma.join(members) + b"}"
    return b" " + line + b"\r" if not plain and rng.random() < 0.03 else line


def lines_of(rng, arrivals, bad_share):
    """Arrivals in order, as lines, with bad ones in between."""
    for _, pairs in arrivals:
        if rng.random() < bad_share:
            bad = spoil_more(rng, pairs.with_("id", f"bad-{rng.randrange(10**9)}"))
            yield bad if isinstance(bad, bytes) else render(rng, bad)
        if rng.random() < 0.01:
            yield rng.choice([b"", b" ", b"\t \r"])
        yield render(rng, pairs)


def big_lines(rng, pairs):
    """One byte too long, and just not."""
    line = render(rng, pairs, plain=True)[:-1] + b',"pad":"'
    for size in (BIG, BIG - 1):
        yield line + b"x" * (size - len(line) - 2) + b'"}'


def generate(seed, events, customers):
    rng = random.Random(seed)
    names = NAMES + [f"c{i}" for i in range(customers)]
    shoppers = []
    weights = [rng.paretovariate(1.2) for _ in range(customers)]
    for name, weight in zip(names, weights):
        shoppers.append(Shopper(rng, name, 1 + int(events * weight / sum(weights))))
    arrivals = []
    for shopper in shoppers:
        while shopper.events_left > 0:
            arrivals.append(shopper.next())
    if customers > 3:  # before the first day there is: negative periods, decades of silence
        first = Shopper(rng, "first", 3)
        arrivals += [(at, first.event(at)) for at in (0, 1, DAY)]
    arrivals.sort(key=lambda arrival: arrival[0])
    return arrivals, rng


def sharpen(arrivals, seed):
    """Adds a `pending` at, just before, and just after some of the deadlines."""
    settings = reference.Settings([option.removeprefix("--set=") for option in OPTIONS if "--set=" in option])
    rng = random.Random(seed)
    plain = [render(rng, pairs, plain=True) for _, pairs in arrivals]
    messages, _ = reference.replay(plain, settings, END)
    extra = []
    for number, message in enumerate(messages):
        value = message["value"]
        if value["cause"]["type"] == "timer" and value["at"] < END and rng.random() < 0.3:
            ts = value["at"] + rng.choice([-1, 0, 0, 1])
            extra.append((ts, Pairs([("id", f"sharp-{number}"), ("type", "ticket"), ("customer", message["key"]),
                                     ("ts", ts), ("ticket", "none"), ("status", "pending")])))
    return sorted(arrivals + extra, key=lambda arrival: arrival[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--customers", type=int, default=50)
    parser.add_argument("--bad", type=float, default=0.05, help="share of bad lines")
    parser.add_argument("--sharpen", action="store_true", help="events exactly at deadlines")
    parser.add_argument("--options", action="store_true", help="print the options to run with, and stop")
    args = parser.parse_args()
    if args.options:
        print(*OPTIONS)
        return 0
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"random_events: seed {seed}", file=sys.stderr)
    arrivals, rng = generate(seed, args.events, args.customers)
    if args.sharpen:
        arrivals = sharpen(arrivals, seed)
    out = sys.stdout.buffer
    if args.bad:
        for line in big_lines(rng, arrivals[0][1].with_("customer", "big")):
            out.write(line + b"\n")
    for line in lines_of(rng, arrivals, args.bad):
        out.write(line + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
