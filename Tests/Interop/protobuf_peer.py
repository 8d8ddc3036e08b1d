"""Google's own protobuf as the peer of Florin's codec.

usage: protobuf_peer.py DESCRIPTOR_SET <requests >answers

Each line of standard input is a request, each line of standard output its answer, in order. Bytes are in hexadecimal;
an answer that bytes are no message is "refused". Requests:

  parse TYPE HEX           the message encoded again, deterministically
  same TYPE HEX HEX        "yes" if both are the same message, else "no"
  json TYPE JSON           the message written in protobuf's JSON mapping, encoded
  random TYPE SEED         a random message, encoded
"""

import random
import string
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import DecodeError

INTEGERS = {
    Field.TYPE_INT32: (-(2**31), 2**31 - 1),
    Field.TYPE_SINT32: (-(2**31), 2**31 - 1),
    Field.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    Field.TYPE_INT64: (-(2**63), 2**63 - 1),
    Field.TYPE_SINT64: (-(2**63), 2**63 - 1),
    Field.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    Field.TYPE_UINT32: (0, 2**32 - 1),
    Field.TYPE_FIXED32: (0, 2**32 - 1),
    Field.TYPE_UINT64: (0, 2**64 - 1),
    Field.TYPE_FIXED64: (0, 2**64 - 1),
}
DOUBLES = [0.0, 1.0, -1.5, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 0.1]
FLOATS = [0.0, 1.0, -1.5, 1.401298464324817e-45, 3.4028234663852886e38, float("inf"), float("-inf"), 0.25]
TEXT = string.printable + "äß€水🏦\u00a0\ufeff\U0010ffff"


def scalar(field, rng):
    kind = field.type
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return rng.choice([0, 1, low, high, rng.randint(low, high), rng.randint(max(low, -200), 200)])
    if kind == Field.TYPE_DOUBLE:
        return rng.choice(DOUBLES)
    if kind == Field.TYPE_FLOAT:
        return rng.choice(FLOATS)
    if kind == Field.TYPE_BOOL:
        return rng.random() < 0.5
    if kind == Field.TYPE_STRING:
        return "".join(rng.choice(TEXT) for _ in range(rng.choice([0, 1, 3, 40, 200])))
    if kind == Field.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 16, 300]))
    if kind == Field.TYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        # Enums are open: numbers without a name survive.
        return rng.choice(known + [3, 77, -5, 2**31 - 1, -(2**31)])
    raise AssertionError(field.full_name)


def fill(message, rng, depth):
    chosen = set()
    for oneof in message.DESCRIPTOR.oneofs:
        chosen.add(rng.choice(oneof.fields).full_name)
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None:
            if field.full_name not in chosen or rng.random() < 0.2:
                continue
        elif rng.random() < 0.3:
            continue
        is_message = field.type == Field.TYPE_MESSAGE
        if is_message and depth == 0:
            continue
        if is_message and field.message_type.GetOptions().map_entry:
            entries = getattr(message, field.name)
            value = field.message_type.fields_by_name["value"]
            for _ in range(rng.randrange(4)):
                key = scalar(field.message_type.fields_by_name["key"], rng)
                if value.type == Field.TYPE_MESSAGE:
                    fill(entries[key], rng, depth - 1)
                else:
                    entries[key] = scalar(value, rng)
        elif field.is_repeated:
            for _ in range(rng.choice([0, 1, 2, 5, 40 if not is_message else 3])):
                if is_message:
                    fill(getattr(message, field.name).add(), rng, depth - 1)
                else:
                    getattr(message, field.name).append(scalar(field, rng))
        elif is_message:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, rng, depth - 1)
        else:
            setattr(message, field.name, scalar(field, rng))


def encoded(message):
    return message.SerializeToString(deterministic=True).hex()


def answer(types, line):
    command, name, *rest = line.split(" ", 3 if line.startswith("same") else 2)
    make = types[name]
    if command == "parse":
        return encoded(make.FromString(bytes.fromhex(rest[0] if rest else "")))
    if command == "same":
        one, other = (make.FromString(bytes.fromhex(text)) for text in rest)
        return "yes" if one == other else "no"
    if command == "json":
        return encoded(json_format.Parse(rest[0], make()))
    if command == "random":
        message = make()
        fill(message, random.Random(int(rest[0])), 4)
        return encoded(message)
    raise AssertionError(command)


def main():
    with open(sys.argv[1], "rb") as file:
        schema = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in schema.file:
        pool.Add(file)
    types = message_factory.GetMessageClassesForFiles([file.name for file in schema.file], pool)
    for line in sys.stdin:
        try:
            print(answer(types, line.rstrip("\n")))
        except DecodeError:
            print("refused")


main()
