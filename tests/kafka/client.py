"""What a test says to Kafka, each in one call that either worked or raised.

A broker that is slow, that stands still, or that is taken for dead because it stood still, refuses
for a while what it will take later: whatever may be asked twice is asked for so long.
"""

import functools
import time
from typing import NamedTuple, Optional

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import OFFSET_BEGINNING, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafka.cluster import PATIENCE_S

TIMEOUT_S = 60  # of one request
# What a topic is like that forgets nothing by itself.
KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class Message(NamedTuple):
    """One message to send. Without a partition the key decides, as in Java (murmur2)."""
    value: Optional[bytes]
    key: Optional[bytes] = None
    partition: int = -1
    headers: tuple = ()
    timestamp_ms: int = 0


class Record(NamedTuple):
    """One message as it was read."""
    topic: str
    partition: int
    offset: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: tuple
    timestamp_ms: int


def patiently(call):
    """Asks again until it works; what still fails after PATIENCE_S is raised."""
    @functools.wraps(call)
    def asked(*arguments, **options):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call(*arguments, **options)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
    return asked


def wait_until(holds, otherwise):
    """What must become true has time for it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise}, for {PATIENCE_S} s")
        time.sleep(0.05)


def create_topic(bootstrap, name, partitions=1, replication=-1, config=None):
    """Creates the topic; replication -1 is the cluster's default."""
    create_topics(bootstrap, [NewTopic(name, partitions, replication, config=dict(config or {}))])


def create_topics(bootstrap, topics):
    """Creates those that are not there yet."""
    ask_for_topics(bootstrap, topics)
    # A broker may hear of a topic a little later than the controller.
    for topic in topics:
        wait_until(lambda: partition_count(bootstrap, topic.topic) == topic.num_partitions,
                   f"{topic.topic} was made and has not {topic.num_partitions} partitions")


@patiently
def ask_for_topics(bootstrap, topics):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics(topics, operation_timeout=TIMEOUT_S).values():
        raise_unless(KafkaError.TOPIC_ALREADY_EXISTS, future)


def raise_any_error(parts):
    """What is wrong with any of the parts of an answer."""
    for part in parts:
        if part.error:
            raise KafkaException(part.error)


def raise_unless(harmless, future):
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() != harmless:
            raise


@patiently
def partition_count(bootstrap, topic):
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=TIMEOUT_S)
    if metadata.topics[topic].error:
        raise KafkaException(metadata.topics[topic].error)
    return len(metadata.topics[topic].partitions)


def produce(bootstrap, topic, messages, config=None):
    """Sends the messages in order and returns once all are acknowledged by all replicas."""
    producer = new_producer(bootstrap, config)
    send(producer, topic, messages)
    finish(producer)


def new_producer(bootstrap, config=None):
    return Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True,
                     "partitioner": "murmur2_random", "linger.ms": 5} | dict(config or {}))


def send(producer, topic, messages):
    """Hands the messages to the producer; `finish` or a commit waits for them."""
    for message in messages:
        while True:
            try:
                producer.produce(topic, message.value, message.key, partition=message.partition,
                                 headers=list(message.headers), timestamp=message.timestamp_ms,
                                 on_delivery=raise_if_lost)
                break
            except BufferError:  # the queue is full: the broker is slower than we are
                producer.poll(0.1)
        producer.poll(0)


def finish(producer):
    left = producer.flush(PATIENCE_S)
    if left:
        raise TimeoutError(f"{left} messages not acknowledged within {PATIENCE_S} s")


def raise_if_lost(error, _message):
    if error:
        raise KafkaException(error)


@patiently
def read_all(bootstrap, *topics, isolation="read_committed"):
    """Every record of the topics, in offset order within each partition, from the first to the
    end as it is when the reader gets there. With read_committed an open transaction is the end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nilai-test-reader",
                         "enable.auto.commit": False, "enable.partition.eof": True,
                         "isolation.level": isolation})
    try:
        unread = {(topic, partition) for topic in topics
                  for partition in range(partition_count(bootstrap, topic))}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unread])
        return list(drain(consumer, unread))
    finally:
        consumer.close()


def drain(consumer, unread):
    deadline = time.monotonic() + PATIENCE_S
    while unread:
        messages = consumer.consume(500, timeout=0.5)
        for message in messages:
            error = message.error()
            if not error:
                yield record_of(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard((message.topic(), message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
        if messages:
            deadline = time.monotonic() + PATIENCE_S
        elif time.monotonic() > deadline:
            raise TimeoutError(f"not at the end of {sorted(unread)}, and nothing for {PATIENCE_S} s")


def record_of(message):
    return Record(message.topic(), message.partition(), message.offset(), message.key(),
                  message.value(), tuple(message.headers() or ()), message.timestamp()[1])


@patiently
def committed(bootstrap, group, topic):
    """The group's committed offset of each partition; None where there is none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        places = [TopicPartition(topic, p) for p in range(partition_count(bootstrap, topic))]
        answers = consumer.committed(places, timeout=TIMEOUT_S)
        raise_any_error(answers)
        return [answer.offset if answer.offset >= 0 else None for answer in answers]
    finally:
        consumer.close()


def end_offsets(bootstrap, topic):
    """Where each partition ends for a reader with read_committed."""
    return [high for _, high in watermarks(bootstrap, topic)]


@patiently
def watermarks(bootstrap, topic, isolation="read_committed"):
    """(oldest offset, end) of each partition; with read_committed an open transaction is the end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nilai-test-reader",
                         "isolation.level": isolation})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S)
                for p in range(partition_count(bootstrap, topic))]
    finally:
        consumer.close()


def wait_until_decided(bootstrap, *topics):
    """Until no transaction is open in the topics: what the dead left behind has timed out."""
    for topic in topics:
        wait_until(lambda: watermarks(bootstrap, topic)
                   == watermarks(bootstrap, topic, "read_uncommitted"),
                   f"a transaction in {topic} is open")


@patiently
def leaders(bootstrap, topic):
    """The node that leads each partition."""
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=TIMEOUT_S)
    partitions = metadata.topics[topic].partitions
    raise_any_error(partitions.values())
    return [partitions[p].leader for p in range(len(partitions))]


@patiently
def delete_records(bootstrap, topic, offsets):
    """Deletes what lies before the offset of each partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
    for future in admin.delete_records(places).values():
        future.result()


def delete_topic(bootstrap, topic):
    """Deletes the topic, and waits until nobody is told of it any more."""
    ask_to_delete(bootstrap, topic)
    wait_until(lambda: not is_known(bootstrap, topic), f"{topic} was deleted and is there")


@patiently
def is_known(bootstrap, topic):
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=TIMEOUT_S)
    return not metadata.topics[topic].error


@patiently
def ask_to_delete(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    raise_unless(KafkaError.UNKNOWN_TOPIC_OR_PART,
                 admin.delete_topics([topic], operation_timeout=TIMEOUT_S)[topic])


@patiently
def set_offsets(bootstrap, group, topic, offsets):
    """Commits offsets for a group without members; those of the dead are waited for."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
    answer = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    raise_any_error(answer[group].result().topic_partitions)
