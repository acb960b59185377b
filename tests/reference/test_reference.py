#!/usr/bin/env python3
"""test_reference.py - is the reference itself right?

Published figures, a second way to each formula, and small lives worked out by hand.
    python3 -m unittest test_reference      (in this directory; needs numpy, scipy, mpmath)
"""
import contextlib
import io
import json
import math
import os
import random
import tempfile
import unittest
from fractions import Fraction

import numpy
from scipy.integrate import quad
from scipy.special import beta as beta_function
from scipy.special import hyp2f1

import compare
import nilai_reference as ref
import random_events

DAY = ref.DAY_MS
T0 = 1_700_006_400_000  # 2023-11-15 00:00 UTC
CDNOW_SAMPLE = dict(r=0.525, alpha=6.183, a=0.891, b=1.614)  # weeks


class Life:
    """Feeds one engine, and remembers what it says."""

    def __init__(self, *assignments, now_ms=None):
        self.messages, self.bad, self.lines = [], [], 0
        self.engine = ref.Engine(ref.Settings(assignments), self.messages.append,
                                 lambda n, cls, text, line: self.bad.append(cls), now_ms)

    def line(self, line):
        self.engine.line(self.lines, line if isinstance(line, bytes) else line.encode())
        self.lines += 1

    def event(self, type_, ts, **fields):
        event = {"id": f"e{self.lines}", "type": type_, "customer": "c", "ts": ts} | fields
        self.line(json.dumps(event))
        return self

    def buy(self, ts, amount=10, **fields):
        return self.event("purchase", ts, amount=amount, **fields)

    def ticket(self, ts, name, status, **fields):
        return self.event("ticket", ts, ticket=name, status=status, **fields)

    def customer(self, name=b"c"):
        return self.engine.customers[name]

    def codes(self):
        c = self.customer()
        return [code for _, _, code in c.support + c.survey]

    def bands(self):
        return [(m["value"]["from"], m["value"]["to"], m["value"]["at"])
                for m in self.messages if m["topic"] == "nilai.churn-risk"]

    def standings(self):
        return [m["value"] for m in self.messages if m["topic"] == "nilai.value-segment"]


def good(**fields):
    return {"id": "1", "type": "purchase", "customer": "c", "ts": T0, "amount": 1} | fields


def without(event, *names):
    return {n: v for n, v in event.items() if n not in names}


def class_of(line, *assignments):
    if isinstance(line, dict):
        line = json.dumps(line)
    life = Life("currency.rates.EUR=1.1", "currency.rates.BIG=1000", *assignments, now_ms=T0)
    life.line(line)
    return life.bad[0] if life.bad else None


class Formulas(unittest.TestCase):
    def test_published_rhythm(self):
        for x, t_x, T, alive, silent in (
            (2, 30.43, 38.86, 0.706202265118, 0.440005909178),
            (0, 0, 38.86, 0.389735080919, 0.891170601223),
            (5, 38, 38.86, 0.869675350152, 0.158043613772),
        ):
            odds = ref.log_odds_left(x, t_x, T - t_x, **CDNOW_SAMPLE)
            self.assertAlmostEqual(1 / (1 + math.exp(odds)), alive, places=11)
            z = ref.log_odds_silent(x, t_x, T - t_x, **CDNOW_SAMPLE, horizon=39)
            self.assertAlmostEqual(1 / (1 + math.exp(-z)), silent, places=11)

    def test_published_spend(self):
        for n, mean, spend in ((0, 0, 35.2190), (2, 44.70, 24.6637), (7, 516.18, 71.4697)):
            self.assertAlmostEqual(ref.expected_spend(n, mean, 6.25, 3.74, 15.44), spend, places=4)

    def test_z_never_falls(self):
        rng = random.Random(1)
        for _ in range(200):
            x, t_x = rng.randrange(200), rng.uniform(0, 1000)
            z = [ref.log_odds_silent(x, t_x, d, 0.6371, 51.17, 0.8075, 1.2284, 90)
                 for d in numpy.linspace(0, 3000, 50)]
            self.assertTrue(all(b >= a - 1e-12 for a, b in zip(z, z[1:])))

    def test_median_gap_is_the_median(self):
        # While alive the gap is Pareto: half of the gaps are longer.
        gap = ref.median_gap(4, 100, 0.6371, 51.17)
        self.assertAlmostEqual((151.17 / (151.17 + gap)) ** 4.6371, 0.5, places=12)
        self.assertAlmostEqual(gap, 151.17 * (2 ** (1 / 4.6371) - 1), places=9)

    def test_expected_days_three_ways(self):
        """As published; by Euler's transformation in scipy; by integrating over p."""
        rng = random.Random(2)
        for trial in range(300):
            a = rng.choice([0.3, 0.8075, 0.99, 0.9999999, 1, 1 + 1e-7, 1.01, 1.7, 3])
            r, alpha, b = rng.uniform(0.1, 3), rng.uniform(1, 100), rng.uniform(0.3, 4)
            x = rng.choice([0, 0, 1, 2, 10, 60, 300])
            t_x = 0 if x == 0 else rng.uniform(x, x * 40)
            D, T = rng.choice([0, rng.uniform(0, 100), rng.uniform(0, 3000)]), 365
            mine = ref.expected_days(x, t_x, D, T, r, alpha, a, b)
            v, s = alpha + t_x + D, r + x
            alive = 1 / (1 + math.exp(ref.log_odds_left(x, t_x, D, r, alpha, a, b)))
            if abs(a - 1) > 1e-3:  # nearer, binary64 loses what is left of the bracket
                y = T / (v + T)
                euler = (1 - y) ** (a - 1) * hyp2f1(a + b - r, a - 1, a + b + x, y)
                self.assertAlmostEqual((a + b + x) / (a - 1) * (1 - euler) * alive / mine, 1, places=8)

            def given(u):  # p = u^(1/a): no singularity at 0
                p = u ** (1 / a)
                return (1 - p) ** (b + x) * -math.expm1(-s * math.log1p(p * T / v)) / p / a if p > 0 else s * T / v / a

            edges = [0] + [(c / (1 + b + x)) ** a for c in (0.01, 0.1, 1, 4, 15, 60) if c < 1 + b + x] + [1]
            whole = sum(quad(given, *pair)[0] for pair in zip(edges, edges[1:])) / beta_function(a, b + x + 1)
            self.assertAlmostEqual(whole * alive / mine, 1, places=5, msg=(trial, a, x))

    def test_xxh3_known_answers(self):
        for text, digest in ((b"c", 10106114510314666011), (b"customer-1", 8569614211036698956),
                             (b"customer-1" * 2, 14466835560627352024)):
            self.assertEqual(ref.xxh3_64(text), digest)


class Reading(unittest.TestCase):
    def test_good_ones(self):
        for line in (
            good(), good(amount="0012.50"), good(amount=1e11), good(amount="100000000000.000"), good(currency="EUR"),
            good(items=[{}, {"a": 1}]), good(status=3, score=None, nonsense=[[[[[[[]]]]]]]), good(order=""),
            '{"id":"1","type":"erase","customer":"c","ts":0,"amount":null,"amount":1}',
            ' {"id":"\\ud800\\udc00","t\\u0079pe":"erase","customer":"\\/","ts":-0}\r',
            b'{"id":"1","type":"erase","customer":"c","ts":1,"\xff":"\xfe","s":"\\ud800","n":1e999,"d":"\x7f"}',
        ):
            self.assertIsNone(class_of(line), line)

    def test_blank_lines_are_no_events_but_count(self):
        life = Life()
        for line in ("", " \t\r", json.dumps(good())):
            life.line(line)
        self.assertEqual(life.bad, [])
        self.assertEqual(life.messages[0]["value"]["cause"]["offset"], 2)

    def test_malformed(self):
        whole = json.dumps(good())[:-1]
        for line in ("x", "[]", "1", "null", '""', whole, whole + "}}", whole + "} {}", whole + ',"a":NaN}', whole + ',"a":01}',
                     whole + ',"a":1.}', whole + ',"a":"\t"}', whole + ',"a":"\\q"}', whole + ',"a":[[[[[[[[]]]]]]]]}',
                     whole + ",}", "\ufeff" + whole + "}", "\x0b", whole + ',"a":"\\u00g0"}', "[" * 10**5):
            self.assertEqual(class_of(line), "malformed", line[:80])

    def test_one_of_each_class(self):
        survey = without(good(type="survey", metric="nps", score=5), "amount")
        ticket = without(good(type="ticket", ticket="t", status="opened"), "amount")
        for cls, events in {
            "missing-field": [without(good(), "id"), without(good(), "amount"), without(survey, "score"), {}],
            "wrong-type": [good(amount=None), good(amount="-1"), good(amount="1e3"), good(amount=""), good(amount=True),
                           good(ts="1"), good(ts=1.0), good(type=None), good(id=5), good(items=[1]), good(items={}),
                           survey | {"scale": [1]}, survey | {"scale": [1, "2"]}, ticket | {"opened_ts": 1.5}],
            "out-of-range": [good(amount=-1), good(amount=1e11 + 1), good(amount="100000000000.00001"), good(id=""),
                             good(customer="x" * 65), good(customer="é" * 33), good(id="\ud800"), good(ts=-1),
                             good(ts=253402300800000), good(currency="US"), good(currency="U1D"), good(currency="BIG", amount=2e8),
                             survey | {"score": 10.5}, survey | {"scale": [5, 5.0]}, survey | {"scale": [1e308, -1e308]},
                             survey | {"scale": [1, 4]}, ticket | {"handle_s": 1e9 + 1}, ticket | {"ticket": ""},
                             good(amount=math.inf) and json.dumps(good()).replace('"amount": 1', '"amount":1e999')],
            "unknown-value": [good(type="sale"), survey | {"metric": "x"}, ticket | {"status": "x"}, ticket | {"kind": ""},
                              ticket | {"factor": "price"}],
            "unknown-currency": [good(currency="XXX"), good(currency="usd")],
            "future-timestamp": [good(ts=T0 + 300_001)],
            None: [good(ts=T0 + 300_000), survey | {"scale": [10, 0]}, survey | {"score": 5.0}],
            "too-large": [good(pad="x" * 2**20)],
            "duplicate-field": ['{"id":"1","i\\u0064":"2"}', json.dumps(good())[:-1] + ',"amount":1}'],
        }.items():
            for event in events:
                self.assertEqual(class_of(event), cls, str(event)[:100])

    def test_the_first_class_counts(self):
        line = json.dumps(good(amount=None, currency="XXX", ts=-1))
        self.assertEqual(class_of(line[:-1] + ',"amount":2}'), "duplicate-field")
        self.assertEqual(class_of(without(good(amount=None), "ts")), "missing-field")
        self.assertEqual(class_of(line), "wrong-type")
        self.assertEqual(class_of(good(ts=-1, currency="XXX")), "out-of-range")
        self.assertEqual(class_of(good(type="sale", ts=T0 * 2)), "unknown-value")
        self.assertEqual(class_of(good(ts=T0 * 2, currency="XXX")), "unknown-currency")

    def test_money_is_exact(self):
        for text, units in ((b"0.00005", 0), (b"0.00015", 2), (b"0.000050000001", 1), (b"0.00025", 2), (b"12.5", 125000),
                            (b"007", 70000), (b"1.99995", 20000), (b"0." + b"9" * 5000, 10000)):
            self.assertEqual(ref.money_units(text), units, text[:30])
        self.assertEqual(ref.money_units(b"1.00005"), 10000)
        self.assertEqual(ref.money_units(1.00005), 10001)  # 1.00005 * 1e4 is above the half in binary64
        rng = random.Random(3)
        for _ in range(1000):
            text = f"{rng.randrange(1000)}.{rng.randrange(10**7):07d}"
            self.assertEqual(ref.money_units(text.encode()), round(Fraction(text) * 10000))


class Lives(unittest.TestCase):
    def test_first_purchase(self):
        life = Life().buy(T0 + 5, 20)
        (message,) = life.messages
        self.assertEqual(message["topic"], "nilai.value-segment")
        value = message["value"]
        self.assertIsNone(value["from"])
        self.assertEqual(value["to"], {"segment": "new", "tier": "D", "unprofitable": False})
        self.assertEqual((value["seq"], value["at"], value["net_year"]), (1, T0 + 5, "6.0000"))
        self.assertEqual(value["cause"], {"type": "event", "id": "e0", "topic": None, "partition": 0, "offset": 0})

    def test_nothing_before_the_first_purchase(self):
        life = Life().ticket(T0, "t", "opened").event("survey", T0, metric="nps", score=0)
        life.engine.finish(T0 + 900 * DAY)
        self.assertEqual(life.messages, [])
        life.buy(T0 + 900 * DAY)
        self.assertEqual(len(life.messages), 1)

    def test_purchase_days(self):
        life = Life().buy(T0).buy(T0 + DAY - 1).buy(T0 + DAY).buy(T0 + 70 * DAY).buy(T0 + 30 * DAY).buy(T0 + 30 * DAY + 5)
        c = life.customer()
        self.assertEqual((c.x, c.last_day - c.first_day), (3, 70))
        life.buy(T0)  # out of the 64 days, but the first
        self.assertEqual(c.x, 3)
        life.buy(T0 + DAY)  # out of the 64 days: taken as not seen
        self.assertEqual(c.x, 4)
        life.buy(T0 - 2 * DAY)
        self.assertEqual((c.x, c.last_day - c.first_day), (5, 72))
        life.buy(T0)  # no longer the first
        self.assertEqual(c.x, 6)

    def test_sixty_four_days(self):
        for back, x in ((63, 2), (64, 3)):  # the day before the 64 is forgotten
            life = Life().buy(T0 - 300 * DAY).buy(T0 - back * DAY).buy(T0).buy(T0 - back * DAY)
            self.assertEqual(life.customer().x, x)

    def test_day_offset(self):
        life = Life("time.day_offset=3600").buy(T0 - 3_600_000).buy(T0).buy(T0 - 3_600_001)
        self.assertEqual(life.customer().x, 1)

    def test_signals_fade_and_are_forgiven(self):
        life = Life().buy(T0).ticket(T0, "t", "opened", kind="complaint").event("survey", T0, metric="nps", score=6)
        terms = life.customer().terms(T0 + 90 * DAY)
        self.assertAlmostEqual(terms.support, 0.3)
        self.assertAlmostEqual(terms.survey, 0.25)
        self.assertAlmostEqual(terms.overdue, 0.6 * 0.5 ** (60 / 90))
        life.buy(T0 - 1)  # late
        self.assertAlmostEqual(life.customer().terms(T0).support, 0.6)
        life.buy(T0 + 1)
        self.assertAlmostEqual(life.customer().terms(T0 + 1).support, 0.18, places=6)
        self.assertAlmostEqual(life.customer().terms(T0 + 1).survey, 0.5, places=6)

    def test_clamped_reasons_are_scaled(self):
        life = Life().buy(T0)
        for i in range(8):
            life.event("refund", T0, amount=0).ticket(T0, f"t{i}", "reopened")
        points = dict(life.customer().reasons(T0))
        self.assertAlmostEqual(life.customer().terms(T0).support, 2.5)
        self.assertAlmostEqual(points["reopened"], 2.5 * 4 / 6)
        self.assertAlmostEqual(points["refund"], 2.5 * 2 / 6)

    def test_reasons_sum_to_eta(self):
        life = Life("model.risk.b0=0.3", "model.risk.bx=-0.2").buy(T0).buy(T0 + 9 * DAY)
        life.ticket(T0 + 9 * DAY, "t", "opened")
        c, at = life.customer(), T0 + 12 * DAY
        self.assertAlmostEqual(sum(p for _, p in c.reasons(at)), c.terms(at).eta() - 0.3)

    def test_survey_thresholds(self):
        for metric, score, scale, codes in (
            ("nps", 6, None, ["nps-detractor"]), ("nps", 7, None, []), ("nps", 9, None, ["nps-promoter"]),
            ("nps", 4, [10, 0], ["nps-detractor"]), ("csat", 2, None, ["csat-low"]), ("csat", 5, None, ["csat-high"]),
            ("csat", 5, [5, 1], ["csat-low"]), ("ces", 3, None, ["ces-hard"]), ("ces", 3.1, None, []),
            ("rating", 0.25, [0, 1], ["rating-low"]), ("rating", 1, [5, 1], ["rating-high"]),
        ):
            fields = {"scale": scale} if scale else {}
            self.assertEqual(Life().event("survey", T0, metric=metric, score=score, **fields).codes(), codes, metric)

    def test_drift(self):
        life = Life()
        for n in (1, 1, 1, 0.5):  # C = 2 - 0.5
            life.event("survey", T0, metric="ces", score=n, scale=[0, 1])
        self.assertAlmostEqual(life.customer().cusum, 1.5)
        life.event("survey", T0, metric="ces", score=0.375, scale=[0, 1])  # m = .875, + 2 - 0.5
        self.assertEqual(life.codes(), ["perception-drift"])
        self.assertEqual(life.customer().cusum, 0)

    def test_tickets(self):
        complaint = {"kind": "complaint"}
        for steps, codes in (
            ([("t", "opened", complaint), ("t", "opened", {}), ("t", "resolved", {})], ["complaint", "resolved-in-time"]),
            ([("t", "opened", {}), ("t", "closed", {}), ("t", "closed", {}), ("t", "opened", {})], ["ticket", "resolved-in-time", "ticket"]),
            ([("t", "resolved", {}), ("t", "opened", complaint), ("t", "opened", {})], ["complaint"]),
            ([("t", "resolved", {"opened_ts": T0 - 72 * 3_600_000 - 1}), ("t", "resolved", {"opened_ts": 0})], ["resolved-late"]),
            ([("t", "resolved", {"opened_ts": T0 - 72 * 3_600_000})], ["resolved-in-time"]),
            ([("t", "resolved", {"opened_ts": T0 + DAY})], ["resolved-in-time"]),
            ([("t", "reopened", {}), ("t", "opened", {}), ("t", "reopened", {}), ("t", "closed", {})],
             ["reopened", "ticket", "reopened", "resolved-in-time"]),
            ([("t", "pending", {}), ("t", "closed", {"opened_ts": 0})], []),
        ):
            life = Life()
            for name, status, fields in steps:
                life.ticket(T0, name, status, **fields)
            self.assertEqual(life.codes(), codes, steps)

    def test_resolution_takes_the_kind_that_is_followed(self):
        life = Life().ticket(T0, "t", "opened", kind="complaint").ticket(T0, "t", "resolved", kind="other")
        self.assertAlmostEqual(life.customer().support[1][1], -0.3)

    def test_five_tickets(self):
        life = Life()
        for i in range(5):
            life.ticket(T0 + i, f"t{i}", "opened")
        followed = lambda: [t.name for t in life.customer().tickets]
        self.assertEqual(followed(), [b"t0", b"t1", b"t2", b"t3"])
        self.assertEqual(len(life.codes()), 5)
        life.ticket(T0 + 9, "t1", "resolved").ticket(T0 + 8, "t2", "resolved").ticket(T0 + 9, "t5", "reopened")
        self.assertEqual(followed(), [b"t0", b"t1", b"t3", b"t5"])
        life.ticket(T0 + 9, "t0", "resolved").ticket(T0 + 9, "t6", "resolved")
        self.assertEqual(followed(), [b"t1", b"t3", b"t5", b"t6"])  # a tie: t0 was followed first

    def test_overdue_fires_on_its_second(self):
        life = Life().buy(T0).buy(T0 + 20 * DAY)
        life.ticket(T0 + 21 * DAY + 1, "t", "opened", kind="complaint")
        life.engine.finish(T0 + 25 * DAY)
        self.assertEqual(life.bands(), [("medium", "high", T0 + 24 * DAY + 1000)])
        self.assertEqual(life.messages[-1]["value"]["cause"], {"type": "timer"})

    def test_a_one_time_buyer_stops_at_medium(self):
        for setting, last in (("false", "medium"), ("true", "high")):
            life = Life(f"alerts.one_time_high={setting}").buy(T0).event("refund", T0, amount=1)
            life.engine.finish(T0 + 400 * DAY)
            self.assertEqual(life.customer().band, ref.BANDS.index(last))

    def test_high_needs_a_cause(self):
        life = Life("model.risk.b0=5").buy(T0).buy(T0 + 40 * DAY)
        c = life.customer()
        self.assertEqual(c.band, ref.MEDIUM)
        life.engine.finish(T0 + 400 * DAY)
        gap = c.gap()
        (change,) = life.bands()
        self.assertEqual(change, ("medium", "high", T0 + 40 * DAY + math.ceil(gap * 86400) * 1000))

    def test_duplicates(self):
        life = Life()
        for i in range(9):
            life.buy(T0 + i, id=f"x{i}")
        life.buy(T0 + 500 * DAY, id="x1")
        self.assertEqual(life.engine.clock, T0 + 8)  # a duplicate does not move the clock
        life.buy(T0 + 500 * DAY, id="x0")  # the ninth back is forgotten
        self.assertEqual(life.engine.clock, T0 + 500 * DAY)

    def test_erase(self):
        life = Life().buy(T0).event("erase", T0 + 10).buy(T0 + 10).event("erase", T0 + 9)
        self.assertNotIn(b"c", life.engine.customers)
        self.assertEqual(life.engine.counts["erased"], 2)
        life.buy(T0 + 11).buy(T0 + 5, id="straggler")
        self.assertEqual(life.customer().amounts, 100000)
        self.assertEqual([m["value"]["seq"] for m in life.messages], [1, 1])
        life.buy(T0 + 10 + 30 * DAY - 1, customer="d").buy(T0 + 5)
        self.assertEqual(life.customer().amounts, 100000)
        life.buy(T0 + 10 + 30 * DAY, customer="d").buy(T0 + 5)
        self.assertEqual(life.customer().amounts, 200000)

    def test_an_erasure_fires_deadlines_first(self):
        life = Life().buy(T0).event("erase", T0 + 1000 * DAY)
        self.assertEqual(life.standings()[-1]["to"]["segment"], "lapsed")

    def test_current_time_never_goes_back(self):
        life = Life().buy(T0).buy(T0 + 1000 * DAY, customer="other").buy(T0 + 5 * DAY, 7)
        ats = [m["value"]["at"] for m in life.messages if m["key"] == "c"]
        self.assertEqual(ats, sorted(ats))
        self.assertEqual(life.customer().now, max(ats[-1], T0 + 5 * DAY))

    def test_a_loss_leaves_the_ring(self):
        life = Life().buy(T0, 10, cost=50)
        life.engine.finish(T0 + 500 * DAY)
        c = life.customer()
        change = next(v for v in life.standings() if v["from"] and v["from"]["unprofitable"] and not v["to"]["unprofitable"])
        period = c.period(c.day(T0))
        self.assertEqual(change["at"], c.day_start((period + 13) * 28 + c.shift))
        self.assertEqual((change["net_year"], change["purchase_days_year"]), ("0.0000", 0))
        self.assertEqual(change["to"]["segment"], "lapsed")

    def test_new_ends_on_day_91(self):
        life = Life("value.cuts.c=0").buy(T0 + 5)
        life.engine.finish(T0 + 200 * DAY)
        self.assertEqual([(v["to"]["segment"], v["at"]) for v in life.standings()], [("new", T0 + 5), ("occasional", T0 + 91 * DAY)])

    def test_segments(self):
        for buys, settings, segment in (
            ([0, 1], {}, "occasional"), ([0, 1, 2], {}, "regular"), ([0, 1, 2, 3, 4, 5], {}, "regular"),
            ([0, 1, 2, 3, 4, 179], {}, "regular"), ([0, 1, 2, 3, 4, 180], {}, "loyal"), ([0, 2, 180], {}, "regular"),
            ([0, 1], {"value.cuts.a": 1}, "occasional"), ([0, 1, 2], {"value.cuts.a": 1}, "vip"),
            ([0, 1, 2, 3, 4, 180], {"value.cuts.a": 1}, "vip"), ([0], {}, "new"),
        ):
            life = Life("value.cuts.a=1e9", *(f"{name}={value}" for name, value in settings.items()))
            for day in buys:
                life.buy(T0 + day * DAY)
            self.assertEqual(life.customer().standing["segment"], segment, buys)

    def test_refunds_lower_what_is_expected(self):
        life = Life().buy(T0, 100)
        for refund, total in ((30, 70), (20, 50), (500, 0)):
            life.event("refund", T0, amount=refund)
            spend = ref.expected_spend(1, total, 6.2754, 3.6245, 14.9837)
            days = ref.expected_days(0, 0, 0, 365, 0.6371, 51.17, 0.8075, 1.2284)
            self.assertAlmostEqual(life.customer().clv(T0), 0.3 * spend * days)

    def test_small_reasons_are_left_out(self):
        for weight, told in ((0.00051, True), (0.00049, False)):
            life = Life(f"model.signals.refund={weight}").buy(T0).event("refund", T0, amount=1)
            self.assertEqual("refund" in dict(life.customer().reasons(T0)), told)

    def test_a_ticket_that_weighs_for_a_while(self):
        """Up at the SLA, down as it fades: both ends of a long silence look the same."""
        life = Life("model.risk.bz=0", "model.risk.b0=-0.8", "model.signals.ticket=0").buy(T0).ticket(T0, "t", "opened")
        life.engine.finish(T0 + 3000 * DAY)
        fades = math.ceil((30 + 90 * math.log2(0.6 / (0.8 + math.log(0.33 / 0.67)))) * 86400)
        self.assertEqual(life.bands(), [("low", "medium", T0 + 3 * DAY), ("medium", "low", T0 + fades * 1000)])

    def test_handling_costs(self):
        life = Life().ticket(T0, "t", "pending", handle_s=90).buy(T0, 1, cost=0)
        self.assertEqual(life.standings()[0]["net_year"], "0.5000")

    def test_tiers_are_kept_to_nine_tenths(self):
        c = ref.Customer(b"c", ref.Settings())
        for own, clv, tier in ((None, 100, "A"), (None, 99.9, "B"), ("A", 90, "A"), ("A", 89.9, "B"), ("A", 37, "C"),
                               ("B", 36, "B"), ("D", 20, "C"), ("C", 18, "C"), ("C", 17.9, "D"), ("B", 100, "A")):
            c.standing = own and {"tier": own}
            self.assertEqual(c.tier(clv), tier, (own, clv))

    def test_bands_have_hysteresis(self):
        c = ref.Customer(b"c", ref.Settings())
        c.x, c.first_day, c.last_day = 3, 0, 30
        for own, risk, band in ((0, 0.39, 0), (0, 0.4, 1), (0, 0.7, 2), (1, 0.34, 1), (1, 0.32, 0), (2, 0.64, 2),
                                (2, 0.62, 1), (2, 0.34, 1), (2, 0.32, 0)):
            c.band = own
            eta = math.log(risk / (1 - risk)) + 1e-12
            self.assertEqual(c.band_after(ref.Terms(1000, eta, 0, 0, 0)), band, (own, risk))
            self.assertEqual(c.band_after(ref.Terms(0, eta, 0, 0, 0)), min(band, 1), (own, risk))


class Deadlines(unittest.TestCase):
    """The finders against looking at every second, or at every evaluation time."""

    def customers(self, seed, count, *more):
        arrivals, rng = random_events.generate(seed, count * 15, count)
        life = Life(*(o.removeprefix("--set=") for o in random_events.OPTIONS if o.startswith("--set=")), *more)
        for _, pairs in arrivals[: len(arrivals) * 2 // 3]:
            life.line(random_events.render(rng, pairs, plain=True))
        return [c for c in life.engine.customers.values() if c.first_day is not None]

    def test_first_band_change(self):
        seen = 0
        for c in self.customers(11, 60):
            first = c.now // 1000 + 1
            last = first + 300 * 86400
            found = c.first_band_change(first, last)
            self.assertEqual(found, self.scan(c, first, last, found))
            seen += found is not None
        self.assertGreater(seen, 10)

    def scan(self, c, first, last, found):
        """Every second of the hour before `found`, and every half hour of the rest."""
        def changes(second):
            return c.band_after(c.terms(second * 1000)) != c.band

        end = last if found is None else found
        for second in [*range(first, end, 1800), *range(max(first, end - 900), end + 1)]:
            if changes(second):
                return second
        return None

    def test_first_standing_change(self):
        cuts = ("value.cuts.a=1", "value.cuts.b=0.5", "value.cuts.c=0.2")  # reached long after the ring is empty
        for c in self.customers(12, 20) + self.customers(12, 20, *cuts):
            last = c.now // 1000 + 2000 * 86400
            found = c.first_standing_change(last)
            day = c.day(c.now)
            times = [c.day_start(d) for d in range(day + 1, day + 2000)
                     if (d - c.shift) % 28 == 0 or d - c.first_day in (91, 180)]
            self.assertEqual(found, next((t // 1000 for t in times if c.standing_at(t) != c.standing), None))

    def test_far_standing_change(self):
        life = Life("value.cuts.c=0.01").buy(T0, 20)
        life.engine.finish(T0 + 60000 * DAY)
        c, last = life.customer(), life.standings()[-1]
        self.assertEqual((last["from"]["tier"], last["to"]["tier"]), ("C", "D"))
        self.assertGreater(last["at"], T0 + 3000 * DAY)
        self.assertLess(c.clv(last["at"]), 0.009)
        self.assertGreaterEqual(c.clv(last["at"] - 28 * DAY), 0.009)

    def test_laziness_changes_nothing(self):
        """A clock that stops at every day gives what a clock that leaps gives."""
        arrivals, rng = random_events.generate(13, 150, 5)
        lines = [random_events.render(rng, pairs, plain=True) for _, pairs in arrivals]
        outputs = []
        for eager in (False, True):
            life = Life()
            for line in lines:
                life.line(line)
                if eager:
                    life.engine.finish()
            for day in range(400 if eager else 1):
                life.engine.finish(life.engine.clock + (1 if eager else 400) * DAY)
            outputs.append(sorted(map(json.dumps, life.messages)))
        self.assertEqual(*outputs)


class Comparing(unittest.TestCase):
    def compare(self, change):
        arrivals, rng = random_events.generate(5, 400, 8)
        lines = [random_events.render(rng, pairs, plain=True) for _, pairs in arrivals]
        messages, _ = ref.replay(lines, ref.Settings(), random_events.NOW + 400 * DAY)
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("one", "other")]
            for path, items in zip(paths, (messages, change(json.loads(json.dumps(messages))))):
                with open(path, "w", encoding="utf-8") as out:
                    out.writelines(json.dumps(item) + "\n" for item in items)
            with contextlib.redirect_stdout(io.StringIO()):
                return len(list(compare.compare_changes(*paths)))

    def edited(self, pick, edit):
        def change(messages):
            target = next(m for m in messages if pick(m))
            edit(target["value"])
            return messages
        return self.compare(change)

    def test_it_sees_what_it_must(self):
        risk = lambda m: "risk" in m["value"]
        timer = lambda m: m["value"]["cause"]["type"] == "timer"
        event = lambda m: not timer(m)
        money = lambda m: "clv_365" in m["value"] and float(m["value"]["clv_365"]) < 50
        add = lambda name, by: lambda value: value.update({name: value[name] + by})
        self.assertEqual(self.compare(lambda messages: messages), 0)
        self.assertEqual(self.compare(lambda messages: sorted(messages, key=lambda m: m["value"]["at"])), 0)
        self.assertEqual(self.edited(risk, add("eta", 0.0002)), 0)
        self.assertEqual(self.edited(risk, add("eta", 0.0003)), 1)
        self.assertEqual(self.edited(timer, add("at", 1000)), 0)
        self.assertEqual(self.edited(timer, add("at", 2000)), 1)
        self.assertEqual(self.edited(event, add("at", 1)), 1)
        self.assertEqual(self.edited(event, add("seq", 1)), 1)
        self.assertEqual(self.edited(event, lambda value: value.update(cause={"type": "timer"})), 2)
        self.assertEqual(self.edited(money, lambda v: v.update(clv_365=f"{float(v['clv_365']) + 0.001:.4f}")), 1)
        self.assertEqual(self.edited(money, lambda v: v.update(net_year="0.0001")), 1)
        two = lambda m: len(m["value"].get("reasons", [])) > 2
        self.assertEqual(self.edited(two, lambda v: v["reasons"].reverse()), 1)
        self.assertEqual(self.edited(risk, lambda v: v["reasons"].pop()), 1)
        self.assertEqual(self.compare(lambda messages: messages[:-1]), 1)
        self.assertEqual(self.compare(lambda messages: messages + [messages[-1]]), 1)

    def test_near_points_may_change_places(self):
        def reasons(*pairs):
            return [{"code": code, "points": points, "text": "t"} for code, points in pairs]
        differ = lambda a, b: bool(list(compare.compare_reasons(reasons(*a), reasons(*b))))
        self.assertFalse(differ([("a", 0.5), ("b", 0.4999)], [("b", 0.5), ("a", 0.4999)]))
        self.assertTrue(differ([("a", 0.5), ("b", 0.4)], [("b", 0.4), ("a", 0.5)]))
        self.assertFalse(differ([("a", 0.5), ("b", 0.0005)], [("a", 0.5)]))
        self.assertTrue(differ([("a", 0.5), ("b", 0.01)], [("a", 0.5)]))
        self.assertTrue(differ([("a", 0.5)], [("b", 0.5), ("c", -0.2)]))


if __name__ == "__main__":
    unittest.main()
