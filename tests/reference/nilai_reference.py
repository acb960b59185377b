#!/usr/bin/env python3
"""nilai_reference.py - what Nilai promises, written a second time, slowly and plainly.

The engine in C is tested against this program: same events in, same changes out
(compare.py says how closely). It shares no code with the engine and takes none of
its short cuts: every signal is kept for ever, every period of every customer is kept
for ever, special functions are evaluated with mpmath at 30 digits, money is an int.

Two things are lazy, and neither can change a result:
 - A customer depends on their own events and on the clock alone. So their deadlines
   are looked for when their next event arrives, or at the end, up to the clock of
   that moment, not when other customers' events move it.
 - The first second at which a band changes is found by bisection over whole seconds,
   with bounds that hold for the whole interval (see Customer.first_band_change).

    python3 nilai_reference.py [FILE|-] [--until MS] [--now MS]
                               [--dead-letter FILE] [--set section.name=value]...

Needs Python 3.11 and mpmath. Where a crossing is so slow that two right programs may
see it seconds apart, the line has one member more than the engine's: "slow_s".
"""
import argparse
import json
import math
import re
import sys
from collections import deque

import mpmath

DAY_MS = 86_400_000
TS_MAX = 253_402_300_799_999
SIZE_MAX = 1 << 20
DEPTH_MAX = 8
RING = 13
PERIOD_DAYS = 28
SUM_MAX, SUM_MIN = 2**63 - 1, -(2**63)
SLACK = 1e-9

# ---------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------

SETTINGS = {
    "currency.base": "USD",
    "value.margin": 0.30,
    "value.scale": 1.0,
    "value.cost_per_hour": 20.0,
    "value.cuts.a": 100.0,
    "value.cuts.b": 40.0,
    "value.cuts.c": 20.0,
    "alerts.one_time_high": False,
    "alerts.medium.up": 0.40,
    "alerts.medium.down": 0.33,
    "alerts.high.up": 0.70,
    "alerts.high.down": 0.63,
    "alerts.cause_min": 0.1,
    "model.name": "default",
    "model.rhythm.r": 0.6371,
    "model.rhythm.alpha": 51.17,
    "model.rhythm.a": 0.8075,
    "model.rhythm.b": 1.2284,
    "model.horizon_days": 90.0,
    "model.spend.p": 6.2754,
    "model.spend.q": 3.6245,
    "model.spend.gamma": None,  # 14.9837 x value.scale
    "model.risk.b0": 0.0,
    "model.risk.bz": 1.0,
    "model.risk.bx": 0.0,
    "model.signals.half_life_days": 90.0,
    "model.signals.recovery": 0.5,
    "model.signals.forgive": 0.3,
    "model.signals.cap_support": 2.5,
    "model.signals.cap_survey": 1.5,
    "model.signals.complaint": 0.60,
    "model.signals.ticket": 0.15,
    "model.signals.resolved_late": 0.50,
    "model.signals.reopened": 0.50,
    "model.signals.refund": 0.25,
    "model.signals.nps_detractor": 0.50,
    "model.signals.nps_promoter": -0.30,
    "model.signals.csat_low": 0.50,
    "model.signals.csat_high": -0.20,
    "model.signals.ces_hard": 0.35,
    "model.signals.rating_low": 0.30,
    "model.signals.rating_high": -0.10,
    "model.signals.perception_drift": 0.30,
    "model.signals.ticket_overdue": 0.60,
}

# In milliseconds; a bare number counts in the unit given here.
DURATIONS = {
    "time.day_offset": ("0s", "s"),
    "time.max_future": ("5m", "ms"),
    "erase.remember": ("30d", "ms"),
    "model.signals.sla": ("72h", "ms"),
    "model.signals.overdue_max": ("30d", "ms"),
}

# Settings of the service that have no say in what is computed.
IGNORED = {"time.follow_wall_clock", "merge.max_idle"}

UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


class BadSetting(Exception):
    pass


def duration_ms(text, bare_unit):
    match = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", str(text))
    if not match:
        raise BadSetting(f"not a duration: {text}")
    return round(float(match[1]) * UNIT_MS[match[2] or bare_unit])


class Settings:
    """All that can be set, by its dotted name."""

    def __init__(self, assignments=()):
        self.values = dict(SETTINGS)
        self.rates = {}
        for name, (text, unit) in DURATIONS.items():
            self.values[name] = duration_ms(text, unit)
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals:
                raise BadSetting(f"expected name=value: {assignment}")
            self.assign(name, text)
        if self.values["model.spend.gamma"] is None:
            self.values["model.spend.gamma"] = 14.9837 * self.values["value.scale"]

    def assign(self, name, text):
        if name.startswith("currency.rates."):
            self.rates[name.removeprefix("currency.rates.").encode()] = float(text)
        elif name in DURATIONS:
            self.values[name] = duration_ms(text, DURATIONS[name][1])
        elif name in ("currency.base", "model.name"):
            self.values[name] = text
        elif name == "alerts.one_time_high":
            if text not in ("true", "false"):
                raise BadSetting(f"{name}: expected true or false")
            self.values[name] = text == "true"
        elif name in SETTINGS:
            self.values[name] = float(text)
        elif name not in IGNORED:
            raise BadSetting(f"unknown setting: {name}")

    def __getitem__(self, name):
        return self.values[name]

    def weight(self, code):
        return self.values["model.signals." + code.replace("-", "_")]


# ---------------------------------------------------------------------------------------
# JSON, read strictly, as bytes
# ---------------------------------------------------------------------------------------

SPACE = re.compile(rb"[ \t\r\n]*")
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
STRING = re.compile(rb'"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)"')
ESCAPE = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+|\\.")
SIMPLE = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
WORDS = {b"true": True, b"false": False, b"null": None}


class Bad(Exception):
    """An event for the dead-letter topic."""

    def __init__(self, cls, message):
        super().__init__(message)
        self.cls = cls


class Map(list):
    """A JSON object: pairs in the order and number in which they were written."""


def unescape(match):
    text = match[0]
    if text[1:2] != b"u":
        return SIMPLE.get(text[1:], text[1:])
    units = bytes.fromhex(text.replace(b"\\u", b"").decode())
    # A lone surrogate becomes three bytes that are not UTF-8, and is judged as such.
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


class Json:
    """One value. Strings are bytes; integers are int, every other number is float."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def bad(self, what):
        return Bad("malformed", f"{what} at byte {self.at}")

    def skip(self):
        self.at = SPACE.match(self.text, self.at).end()

    def take(self, token):
        self.skip()
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def whole(self):
        value = self.value(1)
        self.skip()
        if self.at != len(self.text):
            raise self.bad("more than one value")
        return value

    def value(self, depth):
        if self.take(b"{"):
            return self.map(depth)
        if self.take(b"["):
            return self.array(depth)
        if self.text.startswith(b'"', self.at):
            return self.string()
        for word, value in WORDS.items():
            if self.take(word):
                return value
        return self.number()

    def enter(self, depth):
        if depth > DEPTH_MAX:
            raise self.bad("nested too deeply")

    def map(self, depth):
        self.enter(depth)
        pairs = Map()
        if self.take(b"}"):
            return pairs
        while True:
            self.skip()
            name = self.string()
            if not self.take(b":"):
                raise self.bad("expected ':'")
            pairs.append((name, self.value(depth + 1)))
            if self.take(b"}"):
                return pairs
            if not self.take(b","):
                raise self.bad("expected ',' or '}'")

    def array(self, depth):
        self.enter(depth)
        values = []
        if self.take(b"]"):
            return values
        while True:
            values.append(self.value(depth + 1))
            if self.take(b"]"):
                return values
            if not self.take(b","):
                raise self.bad("expected ',' or ']'")

    def string(self):
        match = STRING.match(self.text, self.at)
        if not match:
            raise self.bad("expected a string")
        self.at = match.end()
        return ESCAPE.sub(unescape, match[1]) if b"\\" in match[1] else match[1]

    def number(self):
        match = NUMBER.match(self.text, self.at)
        if not match:
            raise self.bad("expected a value")
        self.at = match.end()
        if match[1] or match[2]:
            return float(match[0])
        if len(match[0]) > 400:  # beyond every range, and beyond binary64
            return -(10**400) if match[0].startswith(b"-") else 10**400
        return int(match[0])


# ---------------------------------------------------------------------------------------
# Events: fields, kinds, and what makes an event a bad one
# ---------------------------------------------------------------------------------------

TYPES = (b"purchase", b"refund", b"ticket", b"survey", b"erase")
STATUSES = (b"opened", b"pending", b"resolved", b"reopened", b"closed")
KINDS = (b"complaint", b"question", b"request", b"other")
METRICS = (b"nps", b"csat", b"ces", b"rating")
FACTORS = (b"product", b"service", b"image", b"time", b"emotional", b"economic", b"functional")
SCALES = {b"nps": (0, 10), b"csat": (1, 5), b"ces": (1, 7), b"rating": (1, 5)}
DECIMAL = re.compile(rb"([0-9]+)(?:\.([0-9]+))?")
MONEY_MAX = 10**11


def is_string(value):
    return isinstance(value, bytes)


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return is_integer(value) or isinstance(value, float)


def is_utf8(text):
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def binary64(number):
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


class Text:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def fits(self, value):
        return is_string(value)

    def in_range(self, value):
        return self.low <= len(value) <= self.high and is_utf8(value)


class Word:
    def __init__(self, *words):
        self.words = words

    def fits(self, value):
        return is_string(value)

    def in_range(self, value):
        return is_utf8(value)


class Timestamp:
    def fits(self, value):
        return is_integer(value)

    def in_range(self, value):
        return 0 <= value <= TS_MAX


class Number:
    def __init__(self, low=-math.inf, high=math.inf):
        self.low, self.high = low, high

    def fits(self, value):
        return is_number(value)

    def in_range(self, value):
        return math.isfinite(binary64(value)) and self.low <= value <= self.high


class Money:
    def fits(self, value):
        return is_number(value) or (is_string(value) and bool(DECIMAL.fullmatch(value)))

    def in_range(self, value):
        if is_number(value):
            return 0 <= value <= MONEY_MAX
        whole, part = DECIMAL.fullmatch(value).groups(b"")
        whole = whole.lstrip(b"0")
        if len(whole) > 12:
            return False
        major = int(whole or b"0")
        return major < MONEY_MAX or (major == MONEY_MAX and not part.strip(b"0"))


class Currency:
    def fits(self, value):
        return is_string(value)

    def in_range(self, value):
        return len(value) == 3 and value.isalpha()  # bytes: ASCII letters alone


class Scale:
    def fits(self, value):
        return type(value) is list and len(value) == 2 and all(map(is_number, value))

    def in_range(self, value):
        worst, best = map(binary64, value)
        return worst != best and math.isfinite(best - worst)


class Maps:
    def fits(self, value):
        return type(value) is list and all(isinstance(item, Map) for item in value)

    def in_range(self, value):
        return True


ID, LABEL = Text(1, 64), Text(0, 64)

# (name, required, kind), in the order in which they are looked at.
COMMON = [
    (b"id", True, ID),
    (b"type", True, Word(*TYPES)),
    (b"customer", True, ID),
    (b"ts", True, Timestamp()),
]
OWN = {
    b"purchase": [
        (b"amount", True, Money()),
        (b"currency", False, Currency()),
        (b"cost", False, Money()),
        (b"discount", False, Money()),
        (b"order", False, LABEL),
        (b"channel", False, LABEL),
        (b"category", False, LABEL),
        (b"items", False, Maps()),
        (b"referrer", False, ID),
    ],
    b"refund": [
        (b"amount", True, Money()),
        (b"currency", False, Currency()),
        (b"order", False, LABEL),
    ],
    b"ticket": [
        (b"ticket", True, ID),
        (b"status", True, Word(*STATUSES)),
        (b"kind", False, Word(*KINDS)),
        (b"handle_s", False, Number(0, 1e9)),
        (b"opened_ts", False, Timestamp()),
        (b"channel", False, LABEL),
        (b"factor", False, Word(*FACTORS)),
    ],
    b"survey": [
        (b"metric", True, Word(*METRICS)),
        (b"score", True, Number()),
        (b"scale", False, Scale()),
        (b"factor", False, Word(*FACTORS)),
    ],
    b"erase": [],
}


def decimal_units(text):
    """Ten-thousandths of a decimal string, exact, half to even."""
    whole, part = DECIMAL.fullmatch(text).groups(b"")
    part = part.ljust(4, b"0")
    units, rest = int(whole.lstrip(b"0") + part[:4]), part[4:].rstrip(b"0")
    if rest > b"5" or (rest == b"5" and units % 2 == 1):
        units += 1
    return units


def money_units(value):
    return decimal_units(value) if is_string(value) else round(float(value) * 1e4)


def read_event(line, settings, now_ms=None):
    """The event of a line as a dict of its own fields, or raises Bad.

    The classes are tried one after the other over all fields, so that the first that
    applies is found whatever else is wrong. Money comes out in base units.
    """
    if len(line) > SIZE_MAX:
        raise Bad("too-large", f"{len(line)} bytes")
    pairs = Json(line).whole()
    if not isinstance(pairs, Map):
        raise Bad("malformed", "not a map")
    event, names = dict(pairs), [name for name, _ in pairs]
    type_name = event.get(b"type")
    fields = COMMON + (OWN.get(type_name, []) if is_string(type_name) else [])

    def reject(cls, is_wrong):
        for name, _, kind in fields:
            if name in event and is_wrong(name, kind, event[name]):
                raise Bad(cls, name.decode())

    reject("duplicate-field", lambda name, kind, value: names.count(name) > 1)
    for name, required, _ in fields:
        if required and name not in event:
            raise Bad("missing-field", name.decode())
    reject("wrong-type", lambda name, kind, value: not kind.fits(value))
    event = {name: event[name] for name, _, _ in fields if name in event}
    units = money_of(event, fields, settings)
    reject("out-of-range", lambda name, kind, value: not kind.in_range(value)
           or units.get(name, 0) > MONEY_MAX * 10**4
           or (name == b"score" and not score_in_scale(event)))
    reject("unknown-value", lambda name, kind, value: isinstance(kind, Word)
           and value not in kind.words)
    reject("unknown-currency", lambda name, kind, value: isinstance(kind, Currency)
           and rate_of(value, settings) is None)
    if now_ms is not None and event[b"ts"] > now_ms + settings["time.max_future"]:
        raise Bad("future-timestamp", "ts")
    return event | units


def rate_of(currency, settings):
    if currency == settings["currency.base"].encode():
        return 1
    return settings.rates.get(currency)


def money_of(event, fields, settings):
    """Money fields in base units; those whose value or currency is bad are left out."""
    rate = rate_of(event.get(b"currency", settings["currency.base"].encode()), settings)
    units = {}
    for name, _, kind in fields:
        if isinstance(kind, Money) and name in event and kind.in_range(event[name]) and rate:
            own = money_units(event[name])
            units[name] = own if rate == 1 else rint(own * rate)
    return units


def rint(x):
    return round(x) if math.isfinite(x) else SUM_MAX


def scale_of(event):
    if b"scale" in event:
        return tuple(map(binary64, event[b"scale"]))
    return SCALES.get(event[b"metric"])


def score_in_scale(event):
    scale = scale_of(event)
    if scale is None:  # an unknown metric: there is no scale to leave
        return True
    return min(scale) <= binary64(event[b"score"]) <= max(scale)


# ---------------------------------------------------------------------------------------
# Formulas
# ---------------------------------------------------------------------------------------


def log_add(a, b):
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


def log_odds_left(x, t_x, D, r, alpha, a, b):
    return math.log(a) - math.log(b + x) + (r + x) * math.log1p(D / (alpha + t_x))


def log_odds_silent(x, t_x, D, r, alpha, a, b, horizon):
    """Log odds of no purchase within `horizon` days."""
    ld = log_odds_left(x, t_x, D, r, alpha, a, b)
    lS = -(r + x) * math.log1p(horizon / (alpha + t_x + D))
    return log_add(ld, lS) - math.log(-math.expm1(lS))


def risk_of(eta):
    return 1 / (1 + math.exp(-eta)) if eta > -700 else 0.0


def median_gap(x, t_x, r, alpha):
    return (alpha + t_x) * math.expm1(math.log(2) / (r + x))


def expected_days(x, t_x, D, T, r, alpha, a, b):
    """Expected purchase days in the next T days, with the hypergeometric as published."""
    left = mpmath.exp(log_odds_left(x, t_x, D, r, alpha, a, b))
    if abs(a - 1) < 1e-6:
        a = 1 + 1e-6
    with mpmath.workdps(30):
        s, v, a, b = mpmath.mpf(r) + x, mpmath.mpf(alpha) + t_x + D, mpmath.mpf(a), mpmath.mpf(b)
        sum_ = mpmath.hyp2f1(s, b + x + 1, a + b + x, T / (v + T))
        return float((a + b + x) / (a - 1) * (1 - (v / (v + T)) ** s * sum_) / (1 + left))


def expected_spend(n, total, p, q, gamma):
    """Expected spend on a purchase day, after n of them with `total` in all."""
    return p * (gamma + total) / (p * n + q - 1)


# XXH3, 64 bits, seed 0, for 1 to 64 bytes: what a customer's periods start from.
XXH_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
)
M64 = 2**64 - 1


def xxh3_64(data):
    n = len(data)

    def u32(source, at):
        return int.from_bytes(source[at : at + 4], "little")

    def u64(source, at):
        return int.from_bytes(source[at : at + 8], "little")

    def rotl(h, bits):
        return (h << bits | h >> (64 - bits)) & M64

    def fold(a, b):
        product = a * b
        return (product ^ product >> 64) & M64

    def avalanche(h):
        h ^= h >> 37
        h = h * 0x165667919E3779F9 & M64
        return h ^ h >> 32

    def mix(at, key):
        return fold(u64(data, at) ^ u64(XXH_SECRET, key), u64(data, at + 8) ^ u64(XXH_SECRET, key + 8))

    if not 1 <= n <= 64:
        raise ValueError("only 1 to 64 bytes")
    if n <= 3:
        h = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        h ^= u32(XXH_SECRET, 0) ^ u32(XXH_SECRET, 4)
        h = (h ^ h >> 33) * 0xC2B2AE3D27D4EB4F & M64
        h = (h ^ h >> 29) * 0x165667B19E3779F9 & M64
        return h ^ h >> 32
    if n <= 8:
        h = u32(data, n - 4) + (u32(data, 0) << 32) ^ u64(XXH_SECRET, 8) ^ u64(XXH_SECRET, 16)
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & M64
        return h ^ h >> 28
    if n <= 16:
        low = u64(data, 0) ^ u64(XXH_SECRET, 24) ^ u64(XXH_SECRET, 32)
        high = u64(data, n - 8) ^ u64(XXH_SECRET, 40) ^ u64(XXH_SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return avalanche((n + swapped + high + fold(low, high)) & M64)
    h = n * 0x9E3779B185EBCA87
    for step in range((n - 1) // 32 + 1):
        h += mix(16 * step, 32 * step) + mix(n - 16 * (step + 1), 32 * step + 16)
    return avalanche(h & M64)


# ---------------------------------------------------------------------------------------
# A customer
# ---------------------------------------------------------------------------------------

BANDS = ("low", "medium", "high")
LOW, MEDIUM, HIGH = range(3)

TEXTS = {
    "silence": "no purchase for {days:.1f} days; half of the gaps are shorter than {gap:.1f} days",
    "buys-rarely": "{repeat} repeat purchase days; half of the gaps are longer than {gap:.1f} days",
    "buys-often": "{repeat} repeat purchase days; half of the gaps are shorter than {gap:.1f} days",
    "ticket-overdue": "a ticket has been open for too long",
    "complaint": "a complaint was opened",
    "ticket": "a support ticket was opened",
    "resolved-in-time": "a ticket was resolved in time",
    "resolved-late": "a ticket was resolved late",
    "reopened": "a ticket was reopened",
    "refund": "money was refunded",
    "nps-detractor": "would not recommend us",
    "nps-promoter": "would recommend us",
    "csat-low": "was not satisfied",
    "csat-high": "was satisfied",
    "ces-hard": "found it hard to get something done",
    "rating-low": "gave a low rating",
    "rating-high": "gave the best rating",
    "perception-drift": "answers have been getting worse",
}


class Ticket:
    def __init__(self, name, kind, is_open, since, counted):
        self.name, self.kind, self.since = name, kind, since
        self.is_open, self.counted = is_open, counted


def saturate(total):
    return max(SUM_MIN, min(SUM_MAX, total))


def clamp(x, limit):
    return max(-limit, min(limit, x))


class Terms:
    """The parts of eta at one time. Each is monotone between two breakpoints."""

    __slots__ = ("silence", "purchase", "support", "survey", "overdue")

    def __init__(self, silence, purchase, support, survey, overdue):
        self.silence = silence  # D, days
        self.purchase = purchase  # b0 + bz*z + bx*ln(1+x)
        self.support, self.survey, self.overdue = support, survey, overdue

    def service(self):
        return self.support + self.survey + self.overdue

    def eta(self):
        return self.purchase + self.service()


def lowest(one, other):
    return Terms(*(min(getattr(one, n), getattr(other, n)) for n in Terms.__slots__))


def highest(one, other):
    return Terms(*(max(getattr(one, n), getattr(other, n)) for n in Terms.__slots__))


class Customer:
    def __init__(self, name, settings):
        self.name, self.set = name, settings
        self.now = -1  # current time, ms
        self.newest_ts = -1  # of the events alone
        self.recent_ids = deque(maxlen=8)
        self.seq = 0
        # Rhythm.
        self.first_day = self.last_day = None
        self.x = 0
        self.seen_days = set()
        # Service: (ts, weight, code).
        self.support, self.survey = [], []
        self.answers, self.answers_sum, self.cusum = 0, 0.0, 0.0
        self.tickets = []  # in the order in which they were first followed
        # Value, in units; by period.
        self.shift = xxh3_64(name) % PERIOD_DAYS
        self.net, self.purchase_days = {}, {}
        self.amounts = self.costs = self.refunds = 0
        # As last published.
        self.band, self.standing = LOW, None

    # -- time --

    def day(self, ts):
        return (ts + self.set["time.day_offset"]) // DAY_MS

    def day_start(self, day):
        return day * DAY_MS - self.set["time.day_offset"]

    def period(self, day):
        return (day - self.shift) // PERIOD_DAYS

    def days_silent(self, at):
        return max(0, at - self.day_start(self.last_day)) / DAY_MS

    def fade(self, elapsed_ms):
        return 2.0 ** (-elapsed_ms / (self.set["model.signals.half_life_days"] * DAY_MS))

    # -- events --

    def apply(self, event):
        ts, late = event[b"ts"], event[b"ts"] < self.newest_ts
        self.now, self.newest_ts = max(self.now, ts), max(self.newest_ts, ts)
        self.recent_ids.append(event[b"id"])
        if event[b"type"] == b"purchase":
            self.apply_purchase(event, ts, late)
        elif event[b"type"] == b"refund":
            self.apply_refund(event, ts)
        elif event[b"type"] == b"ticket":
            self.apply_ticket(event, ts)
        else:
            self.apply_survey(event, ts)

    def apply_purchase(self, event, ts, late):
        amount = event[b"amount"]
        cost = event.get(b"cost")
        if cost is None:
            cost = round(amount * (1 - self.set["value.margin"]))
        self.amounts = saturate(self.amounts + amount)
        self.costs = saturate(self.costs + cost)
        self.add_net(ts, amount - cost)
        self.add_purchase_day(self.day(ts))
        if not late:
            forgive = self.set["model.signals.forgive"]
            self.support = [(t, w * forgive, code) for t, w, code in self.support]

    def apply_refund(self, event, ts):
        self.refunds = saturate(self.refunds + event[b"amount"])
        self.add_net(ts, -event[b"amount"])
        self.signal(self.support, ts, "refund")

    def add_net(self, ts, units):
        period = self.period(self.day(ts))
        self.net[period] = saturate(self.net.get(period, 0) + units)

    def add_purchase_day(self, day):
        if self.first_day is None:
            self.first_day = self.last_day = day
        elif day in self.seen_days or day == self.first_day:
            return
        else:
            self.x += 1
            self.first_day, self.last_day = min(day, self.first_day), max(day, self.last_day)
        self.seen_days = {d for d in self.seen_days | {day} if d > self.last_day - 64}
        period = self.period(day)
        self.purchase_days[period] = self.purchase_days.get(period, 0) + 1

    def signal(self, group, ts, code, weight=None):
        group.append((ts, self.set.weight(code) if weight is None else weight, code))

    # -- surveys --

    def apply_survey(self, event, ts):
        worst, best = scale_of(event)
        n = (binary64(event[b"score"]) - worst) / (best - worst)
        metric = event[b"metric"]
        if metric == b"nps" and n <= 0.6 + SLACK:
            self.signal(self.survey, ts, "nps-detractor")
        if metric == b"nps" and n >= 0.9 - SLACK:
            self.signal(self.survey, ts, "nps-promoter")
        if metric == b"csat" and n <= 0.25 + SLACK:
            self.signal(self.survey, ts, "csat-low")
        if metric == b"csat" and n >= 1 - SLACK:
            self.signal(self.survey, ts, "csat-high")
        if metric == b"ces" and n <= 1 / 3 + SLACK:
            self.signal(self.survey, ts, "ces-hard")
        if metric == b"rating" and n <= 0.25 + SLACK:
            self.signal(self.survey, ts, "rating-low")
        if metric == b"rating" and n >= 1 - SLACK:
            self.signal(self.survey, ts, "rating-high")
        self.watch_drift(n, ts)

    def watch_drift(self, n, ts):
        if self.answers > 0:
            mean = self.answers_sum / self.answers
            self.cusum = max(0.0, self.cusum + min(2.0, (mean - n) / 0.25) - 0.5)
            if self.cusum > 2.5 + SLACK:
                self.signal(self.survey, ts, "perception-drift")
                self.cusum = 0.0
        self.answers += 1
        self.answers_sum += n

    # -- tickets --

    def apply_ticket(self, event, ts):
        if b"handle_s" in event:
            hours = self.set["value.cost_per_hour"] * binary64(event[b"handle_s"]) / 3600
            self.add_net(ts, -rint(hours * 1e4))
        name, kind = event[b"ticket"], event.get(b"kind", b"other")
        ticket = next((t for t in self.tickets if t.name == name), None)
        status = event[b"status"]
        if status == b"opened":
            self.open_ticket(ticket, name, kind, ts)
        elif status == b"resolved":
            self.resolve_ticket(ticket, name, kind, ts, event.get(b"opened_ts"))
        elif status == b"reopened":
            self.reopen_ticket(ticket, name, kind, ts)
        elif status == b"closed" and ticket:
            if ticket.is_open:
                self.resolve_ticket(ticket, name, kind, ts, None)
            self.tickets.remove(ticket)

    def opening_code(self, kind):
        return "complaint" if kind == b"complaint" else "ticket"

    def open_ticket(self, ticket, name, kind, ts):
        if ticket is None:
            self.signal(self.support, ts, self.opening_code(kind))
            self.follow(Ticket(name, kind, True, ts, True))
        elif not ticket.counted:
            self.signal(self.support, ts, self.opening_code(kind))
            ticket.counted = True

    def resolve_ticket(self, ticket, name, kind, ts, opened_ts):
        if ticket is None:
            if opened_ts is not None:
                self.signal_resolution(kind, ts, ts - opened_ts)
            self.follow(Ticket(name, kind, False, ts, False))
        elif ticket.is_open:
            self.signal_resolution(ticket.kind, ts, ts - ticket.since)
            ticket.is_open, ticket.since = False, ts

    def signal_resolution(self, kind, ts, took_ms):
        if max(0, took_ms) <= self.set["model.signals.sla"]:
            weight = -self.set["model.signals.recovery"] * self.set.weight(self.opening_code(kind))
            self.signal(self.support, ts, "resolved-in-time", weight)
        else:
            self.signal(self.support, ts, "resolved-late")

    def reopen_ticket(self, ticket, name, kind, ts):
        self.signal(self.support, ts, "reopened")
        if ticket is None:
            self.follow(Ticket(name, kind, True, ts, False))
        else:
            ticket.is_open, ticket.since = True, ts

    def follow(self, ticket):
        if len(self.tickets) == 4:
            resolved = [t for t in self.tickets if not t.is_open]
            if not resolved:
                return
            self.tickets.remove(min(resolved, key=lambda t: t.since))  # min keeps the first
        self.tickets.append(ticket)

    # -- risk --

    def rhythm(self):
        return [self.set["model.rhythm." + name] for name in ("r", "alpha", "a", "b")]

    def z(self, silence):
        t_x = self.last_day - self.first_day
        return log_odds_silent(self.x, t_x, silence, *self.rhythm(), self.set["model.horizon_days"])

    def gap(self):
        r, alpha, _, _ = self.rhythm()
        return median_gap(self.x, self.last_day - self.first_day, r, alpha)

    def faded(self, group, at):
        return sum(w * self.fade(at - t) for t, w, _ in group)

    def overdue(self, at):
        terms = []
        for ticket in self.tickets:
            age = at - ticket.since
            if ticket.is_open and age >= self.set["model.signals.sla"]:
                past = max(0, age - self.set["model.signals.overdue_max"])
                terms.append(self.set.weight("ticket-overdue") * self.fade(past))
        return max(terms, default=0.0)

    def terms(self, at):
        return self.terms_from(at, at, self.faded(self.support, at), self.faded(self.survey, at))

    def terms_from(self, at, since, support, survey):
        """As terms(), from the sums of the signals at an earlier time: all fade alike."""
        silence, fade = self.days_silent(at), self.fade(at - since)
        return Terms(
            silence,
            self.set["model.risk.b0"]
            + self.set["model.risk.bz"] * self.z(silence)
            + self.set["model.risk.bx"] * math.log1p(self.x),
            clamp(support * fade, self.set["model.signals.cap_support"]),
            clamp(survey * fade, self.set["model.signals.cap_survey"]),
            self.overdue(at),
        )

    def band_after(self, terms, slack=0.0):
        """The band after the own one. Never falls when a term rises: see below."""
        own, eta = self.band, terms.eta() + slack
        risk = risk_of(eta)
        if risk >= self.set["alerts.high.up"] or (own == HIGH and risk >= self.set["alerts.high.down"]):
            band = HIGH
        elif risk >= self.set["alerts.medium.up"] or (own >= MEDIUM and risk >= self.set["alerts.medium.down"]):
            band = MEDIUM
        else:
            band = LOW
        has_cause = (
            terms.silence + slack >= self.gap()
            or terms.service() + slack >= self.set["alerts.cause_min"] - SLACK
        )
        may_be_high = self.x > 0 or self.set["alerts.one_time_high"]
        return band if has_cause and may_be_high else min(band, MEDIUM)

    def first_band_change(self, first_s, last_s):
        """The first whole second in [first_s, last_s] at which the band is another one.

        Between two breakpoints (a ticket becomes overdue, or starts to fade) every term
        is monotone: D and z(D) rise, the faded sums go towards 0 and so do their clamped
        values, the oldest overdue ticket's term fades. So, in an interval without a
        breakpoint, each term lies between its values at the ends, and the band lies
        between the bands of the lowest and of the highest terms. If both are the own
        band, nothing changes within; otherwise the interval is halved.
        """
        cuts = {first_s}
        for ticket in self.tickets:
            for age in (self.set["model.signals.sla"], self.set["model.signals.overdue_max"]):
                second = -(-(ticket.since + age) // 1000)
                if ticket.is_open and first_s < second <= last_s:
                    cuts.add(second)
        starts = sorted(cuts)
        ends = [start - 1 for start in starts[1:]] + [last_s]
        support, survey = self.faded(self.support, self.now), self.faded(self.survey, self.now)

        def terms(second):
            return self.terms_from(second * 1000, self.now, support, survey)

        def search(left, right, at_left, at_right):
            if self.band_after(at_left) != self.band:
                return left
            if left == right:
                return None
            low = self.band_after(lowest(at_left, at_right), -1e-11)
            high = self.band_after(highest(at_left, at_right), 1e-11)
            if low == high == self.band:
                return None
            middle = (left + right) // 2
            found = search(left, middle, at_left, terms(middle))
            if found is None:
                found = search(middle + 1, right, terms(middle + 1), at_right)
            return found

        for left, right in zip(starts, ends):
            found = search(left, right, terms(left), terms(right)) if left <= right else None
            if found is not None:
                return found
        return None

    def slow_s(self, second):
        """Seconds around a crossing in which a difference of 1e-9 decides (at least 1)."""
        marks = [math.log(p / (1 - p)) for p in (
            self.set["alerts.medium.up"], self.set["alerts.medium.down"],
            self.set["alerts.high.up"], self.set["alerts.high.down"]) if 0 < p < 1]

        def undecided(at_s):
            terms = self.terms(max(self.now, at_s * 1000))
            return (min(abs(terms.eta() - mark) for mark in marks) <= 1e-9
                    or abs(terms.service() - self.set["alerts.cause_min"] + SLACK) <= 1e-9)

        width = 1
        while width < 3600 and (undecided(second - width) or undecided(second + width)):
            width += 1
        return width

    def reasons(self, at):
        terms = self.terms(at)
        bz, bx = self.set["model.risk.bz"], self.set["model.risk.bx"]
        habit = bz * self.z(0) + bx * math.log1p(self.x)
        points = {
            "silence": bz * (self.z(terms.silence) - self.z(0)),
            "buys-rarely" if habit >= 0 else "buys-often": habit,
            "ticket-overdue": terms.overdue,
        }
        for group, used in ((self.support, terms.support), (self.survey, terms.survey)):
            whole = self.faded(group, at)
            share = used / whole if whole != 0 else 1.0
            for t, w, code in group:
                points[code] = points.get(code, 0.0) + w * self.fade(at - t) * share
        told = sorted((-p, code) for code, p in points.items() if abs(p) >= 0.0005)
        up = [(code, -p) for p, code in told if p < 0][:3]
        down = sorted((-p, code) for p, code in told if p > 0)[:1]
        return up + [(code, p) for p, code in down]

    # -- value --

    def clv(self, at):
        silence = self.days_silent(at)
        t_x = self.last_day - self.first_day
        spend = expected_spend(
            self.x + 1, max(0, self.amounts - self.refunds) / 1e4,
            self.set["model.spend.p"], self.set["model.spend.q"], self.set["model.spend.gamma"])
        margin = self.set["value.margin"]
        if self.amounts > 0:
            margin = max(0.0, min(1.0, 1 - self.costs / self.amounts))
        return margin * spend * expected_days(self.x, t_x, silence, 365, *self.rhythm())

    def in_ring(self, by_period, at):
        newest = self.period(self.day(at))
        return sum(by_period.get(p, 0) for p in range(newest - RING + 1, newest + 1))

    def tier(self, clv):
        cuts = [self.set["value.cuts." + letter] for letter in "abc"]
        raw = next((i for i, cut in enumerate(cuts) if clv >= cut), 3)
        own = "ABCD".index(self.standing["tier"]) if self.standing else 3
        if own < raw and clv >= 0.9 * cuts[own]:
            raw = own
        return "ABCD"[raw]

    def segment(self, at, clv):
        days = self.in_ring(self.purchase_days, at)
        first_ago = self.day(at) - self.first_day
        cut = self.set["value.cuts.a"]
        if self.standing and self.standing["segment"] == "vip":
            cut *= 0.9
        if days == 0:
            return "lapsed"
        if clv >= cut and days >= 3:
            return "vip"
        if days >= 6 and first_ago >= 180:
            return "loyal"
        if days >= 3:
            return "regular"
        if self.x == 0 and first_ago <= 90:
            return "new"
        return "occasional"

    def standing_at(self, at):
        clv = self.clv(at)
        return {
            "segment": self.segment(at, clv),
            "tier": self.tier(clv),
            "unprofitable": self.in_ring(self.net, at) < 0,
        }

    def first_standing_change(self, last_s):
        """The first evaluation time after the current one, up to last_s, with a change."""
        first = self.period(self.day(self.now)) + 1

        def period_start(period):
            return self.day_start(period * PERIOD_DAYS + self.shift)

        def changes(at):
            return self.standing_at(at) != self.standing

        # One ring ahead, all sums are gone; the two days are looked at in any case.
        times = {period_start(first + i) for i in range(RING + 1)}
        times |= {self.day_start(self.first_day + 91), self.day_start(self.first_day + 180)}
        for at in sorted(times):
            if self.now < at <= last_s * 1000 and changes(at):
                return at // 1000
        # From there on only clv_365 moves, and only down: no purchase ever comes.
        low = first + RING
        high = self.period(self.day(last_s * 1000))
        if high <= low or not changes(period_start(high)):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if changes(period_start(middle)) else (middle, high)
        return period_start(high) // 1000


# ---------------------------------------------------------------------------------------
# The engine
# ---------------------------------------------------------------------------------------


def decimal(units):
    return f"{'-' if units < 0 else ''}{abs(units) // 10000}.{abs(units) % 10000:04d}"


class Engine:
    """One partition. `emit` takes each published message, `bury` each bad line."""

    def __init__(self, settings, emit, bury, now_ms=None):
        self.set, self.emit, self.bury, self.now_ms = settings, emit, bury, now_ms
        self.clock = -1
        self.customers = {}
        self.erased = {}  # customer -> (ts of the erasure, clock at it)
        self.counts = {"applied": 0, "duplicate": 0, "erased": 0, "bad": 0}

    def line(self, number, line):
        if not line.strip(b" \t\r"):
            return
        try:
            event = read_event(line, self.set, self.now_ms)
        except Bad as bad:
            self.counts["bad"] += 1
            self.bury(number, bad.cls, str(bad), line)
            return
        self.event(number, event)

    def event(self, number, event):
        name, ts = event[b"customer"], event[b"ts"]
        if name in self.erased:
            erased_ts, erased_clock = self.erased[name]
            if self.clock - erased_clock >= self.set["erase.remember"]:
                del self.erased[name]
            elif ts <= erased_ts:
                self.counts["erased"] += 1
                return
        customer = self.customers.get(name)
        if customer and event[b"id"] in customer.recent_ids:
            self.counts["duplicate"] += 1
            return
        self.counts["applied"] += 1
        self.clock = max(self.clock, ts)
        slow_s = 1
        if customer:
            self.fire(customer)
            if customer.first_day is not None:
                slow_s = customer.slow_s(max(ts, customer.now) // 1000)
        if event[b"type"] == b"erase":
            self.customers.pop(name, None)
            self.erased[name] = (ts, self.clock)
            return
        if not customer:
            customer = self.customers[name] = Customer(name, self.set)
        customer.apply(event)
        cause = {"type": "event", "id": event[b"id"].decode(), "topic": None,
                 "partition": 0, "offset": number}
        self.settle(customer, cause, slow_s)

    def settle(self, customer, cause, slow_s):
        """After an event: publish what it changed."""
        if customer.first_day is None:
            return
        if customer.standing is None:
            customer.band = customer.band_after(customer.terms(customer.now))
        else:
            self.publish_band(customer, cause, slow_s)
        self.publish_standing(customer, cause)

    def fire(self, customer):
        """All deadlines of a customer up to the clock, one by one."""
        while customer.first_day is not None:
            first_s, last_s = customer.now // 1000 + 1, self.clock // 1000
            if first_s > last_s:
                return
            band_s = customer.first_band_change(first_s, last_s)
            value_s = customer.first_standing_change(last_s if band_s is None else band_s)
            if band_s is None and value_s is None:
                return
            second = min(s for s in (band_s, value_s) if s is not None)
            slow_s = customer.slow_s(second) if second == band_s else 1
            customer.now = second * 1000
            if second == band_s:
                self.publish_band(customer, {"type": "timer"}, slow_s)
            if second == value_s:
                self.publish_standing(customer, {"type": "timer"}, slow_s)

    def finish(self, until_ms=None):
        if until_ms is not None:
            self.clock = max(self.clock, until_ms)
        for customer in self.customers.values():
            self.fire(customer)

    def publish(self, customer, topic, cause, fields, slow_s):
        customer.seq += 1
        name = customer.name.decode()
        value = {"v": 1, "customer": name, "seq": customer.seq, "at": customer.now, "cause": cause}
        value |= fields | {"currency": self.set["currency.base"], "model": self.set["model.name"]}
        message = {"topic": topic, "key": name, "value": value}
        if slow_s > 1:
            message["slow_s"] = slow_s
        self.emit(message)

    def publish_band(self, customer, cause, slow_s=1):
        terms = customer.terms(customer.now)
        band = customer.band_after(terms)
        if band == customer.band:
            return
        eta = terms.eta()
        risk = risk_of(eta)
        numbers = {"days": terms.silence, "gap": customer.gap(), "repeat": customer.x}
        reasons = [{"code": code, "points": round(points, 4),
                    "text": TEXTS[code].format(**numbers)}
                   for code, points in customer.reasons(customer.now)]
        self.publish(customer, "nilai.churn-risk", cause, {
            "from": BANDS[customer.band], "to": BANDS[band],
            "risk": round(risk, 4), "eta": round(eta, 4), "reasons": reasons,
            "silence_days": round(terms.silence, 4), "repeat_days": customer.x,
            "value_at_risk": f"{customer.clv(customer.now) * risk:.4f}",
        }, slow_s)
        customer.band = band

    def publish_standing(self, customer, cause, slow_s=1):
        standing = customer.standing_at(customer.now)
        if standing == customer.standing:
            return
        self.publish(customer, "nilai.value-segment", cause, {
            "from": customer.standing, "to": standing,
            "net_year": decimal(customer.in_ring(customer.net, customer.now)),
            "clv_365": f"{customer.clv(customer.now):.4f}",
            "purchase_days_year": customer.in_ring(customer.purchase_days, customer.now),
        }, slow_s)
        customer.standing = standing


def replay(lines, settings, until_ms=None, now_ms=None):
    """For tests: all messages and all dead letters (as pairs of line and class)."""
    messages, buried = [], []
    engine = Engine(settings, messages.append,
                    lambda number, cls, text, line: buried.append((number, cls)), now_ms)
    for number, line in enumerate(lines):
        engine.line(number, line)
    engine.finish(until_ms)
    return messages, buried


def main():
    parser = argparse.ArgumentParser(description="The slow, plain second opinion on `nilai replay`.")
    parser.add_argument("file", nargs="?", default="-", help="JSON lines, or - for standard input")
    parser.add_argument("--until", type=int, metavar="MS", help="move the clock there at the end")
    parser.add_argument("--now", type=int, metavar="MS", help="the wall clock, for future timestamps")
    parser.add_argument("--dead-letter", metavar="FILE", help="write bad lines there")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    try:
        settings = Settings(args.set)
    except (BadSetting, ValueError) as error:
        print(f"nilai_reference: {error}", file=sys.stderr)
        return 78
    source = sys.stdin.buffer if args.file == "-" else open(args.file, "rb")
    letters = open(args.dead_letter, "w", encoding="utf-8") if args.dead_letter else None
    output = open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)

    def write(stream, item):
        stream.write(json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n")

    def bury(number, cls, message, line):
        if letters:
            write(letters, {"line": number, "class": cls, "message": message,
                            "value": line.decode("utf-8", "replace")})

    engine = Engine(settings, lambda message: write(output, message), bury, args.now)
    for number, line in enumerate(source.read().split(b"\n")):
        engine.line(number, line)
    engine.finish(args.until)
    output.close()
    if letters:
        letters.close()
    print("nilai_reference: " + ", ".join(f"{n} {what}" for what, n in engine.counts.items()),
          file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
