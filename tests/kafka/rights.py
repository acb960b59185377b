"""Which rights the program needs on a cluster with an authorizer: one table.

The README shows the same rows to people; test_security takes each away in turn.
"""

from typing import NamedTuple, Optional

from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType,
                                   AdminClient, ResourcePatternType, ResourceType)

from kafka import client

EXACTLY, AT_LEAST, LOADGEN = "exactly-once", "at-least-once", "loadgen"
RUN = (EXACTLY, AT_LEAST)
KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP,
         "transactional-id": ResourceType.TRANSACTIONAL_ID}


class Right(NamedTuple):
    """`missed` is what is logged without it by a program that goes on; None: it ends."""
    kind: str  # of KINDS
    what: str  # a topic by the last part of its name, or "group"
    operation: AclOperation
    users: tuple
    missed: Optional[str] = None

    def __str__(self):
        return f"{self.operation.name} of {self.kind} {self.what}"


INPUTS = ("purchases", "tickets", "surveys")
OUTPUTS = ("nilai.churn-risk", "nilai.value-segment", "customers", "dead-letter")
# READ and WRITE include DESCRIBE.
RIGHTS = (
    *(Right("topic", name, AclOperation.READ, RUN) for name in INPUTS),
    *(Right("topic", name, AclOperation.DESCRIBE_CONFIGS, RUN, "compacted is not known")
      for name in INPUTS),
    *(Right("topic", name, AclOperation.WRITE, (LOADGEN,)) for name in INPUTS),
    *(Right("topic", name, AclOperation.WRITE, RUN) for name in OUTPUTS),
    Right("topic", "state", AclOperation.READ, RUN),
    Right("topic", "state", AclOperation.WRITE, RUN),
    Right("topic", "state", AclOperation.DELETE, RUN, "the right DELETE"),
    Right("topic", "state", AclOperation.DESCRIBE_CONFIGS, RUN, "keeps everything is not known"),
    Right("group", "group", AclOperation.READ, RUN),
    Right("transactional-id", "group", AclOperation.WRITE, (EXACTLY,)),
)


def needed_by(user):
    return [right for right in RIGHTS if user in right.users]


class Principal:
    """One user's ACLs, as somebody sets them who may do everything."""

    def __init__(self, bootstrap, name):
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.name = f"User:{name}"

    @client.patiently
    def hold(self, bindings):
        """Gives the user exactly these, and waits until the broker knows."""
        wanted, held = set(bindings), self.held()
        for futures in (self.admin.create_acls(list(wanted - held)) if wanted - held else {},
                        self.admin.delete_acls([as_filter(one) for one in held - wanted])
                        if held - wanted else {}):
            for future in futures.values():
                future.result()
        client.wait_until(lambda: self.held() == wanted, "the broker does not take the ACLs")

    def held(self):
        return set(self.admin.describe_acls(AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, self.name, None, AclOperation.ANY,
            AclPermissionType.ANY)).result())

    def binding(self, kind, name, operation):
        """Transactional ids are many: <group>-<instance>-<worker>."""
        pattern = (ResourcePatternType.PREFIXED if kind == "transactional-id"
                   else ResourcePatternType.LITERAL)
        return AclBinding(KINDS[kind], name, pattern, self.name, "*", operation,
                          AclPermissionType.ALLOW)


def as_filter(one):
    return AclBindingFilter(one.restype, one.name, one.resource_pattern_type, one.principal,
                            one.host, one.operation, one.permission_type)
