#!/usr/bin/env python3
"""compare.py - do two replays of the same events agree, as closely as promised?

    python3 compare.py ONE OTHER [--dead-letters ONE OTHER] [--show N]

Per customer, the lists of messages must have the same length and order, and be alike in
topic, seq, from, to, cause, counts, currency, model, the exact money of net_year, and the
codes of the reasons in order (unless two points differ by less than 0.0002). Numbers may
differ by 0.0002, money that is derived from them by 1e-6 of itself more, the time of a
deadline by one second, or, where the reference says that the crossing was slow
("slow_s"), by so many seconds; only there may an event stand for the timer.
Exits 1 and shows the first differences if they do not agree.
"""
import argparse
import json
import re
import sys

NEAR = 0.0002 + 1e-9
LEFT_OUT = 0.0005  # reasons below it are not told
SLOW_MAX_S = 3600
EXACT = ("v", "customer", "seq", "from", "to", "net_year", "purchase_days_year",
         "repeat_days", "currency", "model")
NUMBERS = ("risk", "eta", "silence_days")
MONEY = ("value_at_risk", "clv_365")
FIELDS = {
    "nilai.churn-risk": {"v", "customer", "seq", "at", "cause", "from", "to", "risk", "eta", "reasons",
                         "silence_days", "repeat_days", "value_at_risk", "currency", "model"},
    "nilai.value-segment": {"v", "customer", "seq", "at", "cause", "from", "to", "net_year", "clv_365",
                            "purchase_days_year", "currency", "model"},
}


def compare_times(one, other):
    """The cause and the time, which depend on each other."""
    a, b = one["value"], other["value"]
    apart_ms = abs(a["at"] - b["at"])
    slow_s = min(SLOW_MAX_S, max(one.get("slow_s", 1), other.get("slow_s", 1)))
    timers = [m["value"]["cause"].get("type") == "timer" for m in (one, other)]
    for message, is_timer in zip((one, other), timers):
        if is_timer and message["value"]["at"] % 1000 != 0:
            yield "at", "a timer not on a whole second", ""
    if all(timers):
        if a["cause"] != b["cause"]:
            yield "cause", a["cause"], b["cause"]
        if apart_ms > 1000 * slow_s:
            yield "at", a["at"], b["at"]
    elif any(timers):
        if slow_s <= 1 or apart_ms > 1000 * slow_s:
            yield "cause", (a["at"], a["cause"]), (b["at"], b["cause"])
    else:
        if a["cause"] != b["cause"]:
            yield "cause", a["cause"], b["cause"]
        if a["at"] != b["at"]:
            yield "at", a["at"], b["at"]


def is_near(a, b):
    return abs(a - b) <= NEAR


def compare_reasons(ones, others):
    """The same codes in the same order, but for points too close to be told apart."""
    for reasons in (ones, others):
        for reason in reasons:
            if set(reason) != {"code", "points", "text"} or not reason["text"]:
                yield "reason", reason, "code, points and a text"
                return
    told, told_other = ({r["code"]: r["points"] for r in reasons} for reasons in (ones, others))
    for code in sorted(told.keys() & told_other.keys()):
        if not is_near(told[code], told_other[code]):
            yield f"points of {code}", told[code], told_other[code]
    if [r["code"] for r in ones] == [r["code"] for r in others]:
        return
    for is_up in (True, False):
        a = [r["points"] for r in ones if (r["points"] > 0) == is_up]
        b = [r["points"] for r in others if (r["points"] > 0) == is_up]
        # Rank by rank the points agree; what only one tells is too small to be told.
        ranks = all(is_near(p, q) for p, q in zip(a, b))
        rest = a[len(b) :] + b[len(a) :]
        if not ranks or any(abs(p) > LEFT_OUT + NEAR for p in rest):
            yield "reasons", list(told.items()), list(told_other.items())
            return


def compare_messages(one, other):
    """Pairs of what differs: (field, one's, the other's)."""
    if one["topic"] != other["topic"]:
        yield "topic", one["topic"], other["topic"]
        return
    a, b = one["value"], other["value"]
    for value in (a, b):
        if set(value) != FIELDS[one["topic"]]:
            yield "fields", sorted(set(value) ^ FIELDS[one["topic"]]), "as documented"
            return
    for field in EXACT:
        if a.get(field) != b.get(field):
            yield field, a.get(field), b.get(field)
    for field in NUMBERS:
        if field in a and not is_near(a[field], b[field]):
            yield field, a[field], b[field]
    for field in MONEY:
        if field in a and not is_near_money(a[field], b[field]):
            yield field, a[field], b[field]
    yield from compare_times(one, other)
    if "reasons" in a:
        yield from compare_reasons(a["reasons"], b["reasons"])


def is_near_money(a, b):
    if not all(isinstance(m, str) and re.fullmatch(r"-?[0-9]+\.[0-9]{4}", m) for m in (a, b)):
        return False
    return abs(float(a) - float(b)) <= 1e-6 * max(abs(float(a)), abs(float(b))) + NEAR


def by_customer(path):
    customers = {}
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            message = json.loads(line)
            if message["key"] != message["value"]["customer"]:
                raise SystemExit(f"{path}: the key is not the customer: {line}")
            customers.setdefault(message["key"], []).append(message)
    return customers


def compare_changes(path, other_path):
    ones, others = by_customer(path), by_customer(other_path)
    for name in sorted(ones.keys() | others.keys()):
        a, b = ones.get(name, []), others.get(name, [])
        for place, (one, other) in enumerate(zip(a, b)):
            found = list(compare_messages(one, other))
            for field, x, y in found:
                yield f"{name!r} message {place}: {field}: {x} / {y}", one, other
            if found:
                break  # what follows a first difference says little
        else:
            if len(a) != len(b):
                place = min(len(a), len(b))
                yield (f"{name!r}: {len(a)} / {len(b)} messages",
                       a[place] if place < len(a) else None, b[place] if place < len(b) else None)


def bad_lines(path):
    with open(path, encoding="utf-8", newline="\n") as lines:
        letters = [json.loads(line) for line in lines]
    # How many U+FFFD stand for a run of bytes that are not UTF-8 is left open.
    return {m["line"]: (m["class"], re.sub("\ufffd+", "\ufffd", m["value"])) for m in letters}


def compare_dead_letters(path, other_path):
    ones, others = bad_lines(path), bad_lines(other_path)
    for line in sorted(ones.keys() | others.keys()):
        a, b = ones.get(line, (None, "")), others.get(line, (None, ""))
        if a != b:
            yield f"line {line}: {a[0]} / {b[0]}", a[1][:200], b[1][:200]


def main():
    parser = argparse.ArgumentParser(description="Do two replays of the same events agree?")
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--dead-letters", nargs=2, metavar=("ONE", "OTHER"))
    parser.add_argument("--show", type=int, default=10, help="differences to show")
    args = parser.parse_args()
    found = list(compare_changes(args.one, args.other))
    if args.dead_letters:
        found += compare_dead_letters(*args.dead_letters)
    for what, one, other in found[: args.show]:
        print(what)
        for message in (one, other):
            print("   ", json.dumps(message, ensure_ascii=False))
    print(f"compare: {len(found)} differences" if found else "compare: they agree", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
