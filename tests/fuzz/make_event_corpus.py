#!/usr/bin/env python3
"""Writes the seeds of the event fuzzers: corpus/fuzz_{decode_json,decode_msgpack,convert}/.

Every type with all of its fields, and one seed for each thing that a decoder treats on its
own. Run it again after a change here; the seeds are committed.
"""
import json
import pathlib
import struct

HEAD = {"id": "e1", "customer": "c1", "ts": 1700000000000}
EVENTS = {
    "purchase": {**HEAD, "type": "purchase", "amount": 12.5, "currency": "EUR", "cost": "3.25", "discount": 1,
                 "order": "o1", "channel": "web", "category": "books", "items": [{"sku": "a", "n": 1}, {}],
                 "referrer": "c2"},
    "refund": {**HEAD, "type": "refund", "amount": "0.00005", "currency": "IDR", "order": ""},
    "ticket": {**HEAD, "type": "ticket", "ticket": "t1", "status": "resolved", "kind": "complaint",
               "handle_s": 60.5, "opened_ts": 1699999999999, "channel": "mail", "factor": "service"},
    "survey": {**HEAD, "type": "survey", "metric": "csat", "score": 4, "scale": [5, 1], "factor": "time"},
    "erase": {**HEAD, "type": "erase"},
    "big-money": {**HEAD, "type": "purchase", "amount": 100000000000, "currency": "BIG"},
    "unknown-type": {**HEAD, "type": "party", "amount": None},
    "unknown-value": {**HEAD, "type": "survey", "metric": "mood", "score": -1},
    "wrong-type": {**HEAD, "type": "ticket", "ticket": None, "status": True},
    "deep": {**HEAD, "type": "erase", "x": [[[[[[[1]]]]]]]},
    "too-deep": {**HEAD, "type": "erase", "x": [[[[[[[[1]]]]]]]]},
    "utf8": {**HEAD, "type": "erase", "customer": "\u00e9\u20ac\U0001f600"},
    "wide": {"k%d" % i: i for i in range(20)},
}
JSON = {
    "escapes": rb'{"id":"\u0041\ud83d\ude00\"\\\/\b\f\n\r\t","type":"erase","customer":"a\u0000","ts":-0}',
    "lone-half": rb'{"id":"\ud800","type":"erase","customer":"\\ud800\udc00","ts":1}',
    "twice": b'{"id":"e","id":"e","type":"erase","customer":"c","ts":1,"\\u0069d":2}',
    "numbers": b'{"a":[0,-0,1.5,1e5,1E-5,-1e999,18446744073709551616,9223372036854775808]}',
    "spaces": b' \t\r\n{ "a" : [ 1 , true , null ] } \n',
    "rest": b'{} "a',
    "not-utf8": b'{"id":"\xff\xc0\xaf","\xed\xa0\x80":1}',
}


def pack(value):
    """The shortest MessagePack of what json.loads gives."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xA0 | len(data)]) if len(data) < 32 else b"\xd9" + bytes([len(data)])) + data
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    start = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
    return start + b"".join(pack(k) + pack(v) for k, v in value.items())


TS = pack({"id": "e", "type": "erase", "customer": "c"}).replace(b"\x83", b"\x84", 1) + pack("ts")
MSGPACK = {
    "time-32": TS + b"\xd6\xff\0\0\0\x01",
    "time-64": TS + b"\xd7\xff\xee\x6b\x27\xfc\0\0\0\x01",
    "time-96": TS + b"\xc7\x0c\xff\x3b\x9a\xc9\xff" + bytes(7) + b"\x01",
    "time-before-1970": TS + b"\xc7\x0c\xff\0\0\0\0" + b"\xff" * 8,
    "widths": b"\x8b" + b"".join(bytes([0xA1, 97 + i]) + v for i, v in enumerate(
        [b"\xcc\xff", b"\xcd\xff\xff", b"\xce" + b"\xff" * 4, b"\xcf" + b"\xff" * 8, b"\xd0\x80", b"\xd1\x80\0",
         b"\xd2\x80\0\0\0", b"\xd3\x80" + bytes(7), b"\xca\x3f\x80\0\0", b"\xcb\x7f\xf8" + bytes(6), b"\xff"])),
    "lengths": b"\x89" + b"".join(bytes([0xA1, 97 + i]) + v for i, v in enumerate(
        [b"\xd9\x01a", b"\xda\0\x01a", b"\xdb\0\0\0\x01a", b"\xc4\x01a", b"\xc5\0\x01a", b"\xc6\0\0\0\x01a",
         b"\xdc\0\x01\x01", b"\xdd\0\0\0\x01\x01", b"\xdf\0\0\0\x01\x01\x01"])),
    "extensions": b"\x98\xd4\x01a\xd5\x01aa\xd6\x01aaaa\xd7\x01" + b"a" * 8 + b"\xd8\x01" + b"a" * 16 +
                  b"\xc7\x01\x01a\xc8\0\x01\x01a\xc9\0\0\0\x01\x01a",
    "keys": b"\x85\xc0\x01\x01\x01\x91\x01\x01\x81\xa2id\x01\x01\xc4\x02id\x01",
    "declared": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "never-used": b"\x81\xa1a\xc1",
    "two": b"\x80\x80",
}


def write(fuzzer, seeds):
    folder = pathlib.Path(__file__).parent / "corpus" / fuzzer
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


texts = {name: json.dumps(event, ensure_ascii=False).encode() for name, event in EVENTS.items()} | JSON
packed = {name: pack(event) for name, event in EVENTS.items()} | MSGPACK
write("fuzz_decode_json", texts)
write("fuzz_decode_msgpack", packed)
write("fuzz_convert", {name + ".json": data for name, data in texts.items()} |
      {name + ".msgpack": data for name, data in packed.items()})
