"""What a test says to Kafka, each in one call that either worked or raised."""

import time
from typing import NamedTuple, Optional

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import OFFSET_BEGINNING, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_S = 60


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


def create_topic(bootstrap, name, partitions=1, replication=-1, config=None):
    """Creates the topic; replication -1 is the cluster's default."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic = NewTopic(name, partitions, replication, config=dict(config or {}))
    admin.create_topics([topic], operation_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
    # A broker may hear of a topic a little later than the controller.
    deadline = time.monotonic() + TIMEOUT_S
    while admin.list_topics(name, timeout=TIMEOUT_S).topics[name].error:
        if time.monotonic() > deadline:
            raise KafkaException(f"topic {name} was made and is not there")
        time.sleep(0.05)


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
    left = producer.flush(TIMEOUT_S)
    if left:
        raise TimeoutError(f"{left} messages not acknowledged within {TIMEOUT_S} s")


def raise_if_lost(error, _message):
    if error:
        raise KafkaException(error)


def read_all(bootstrap, *topics, isolation="read_committed", config=None, timeout_s=TIMEOUT_S):
    """Every record of the topics, in offset order within each partition, from the first to the
    end as it is when the reader gets there. With read_committed an open transaction is the end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nilai-test-reader",
                         "enable.auto.commit": False, "enable.partition.eof": True,
                         "isolation.level": isolation} | dict(config or {}))
    try:
        unread = {(topic, partition) for topic in topics
                  for partition in range(partition_count(bootstrap, topic))}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unread])
        return list(drain(consumer, unread, timeout_s))
    finally:
        consumer.close()


def drain(consumer, unread, timeout_s):
    deadline = time.monotonic() + timeout_s
    while unread:
        for message in consumer.consume(500, timeout=0.5):
            error = message.error()
            if not error:
                yield record_of(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard((message.topic(), message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not at the end of {sorted(unread)} within {timeout_s} s")


def record_of(message):
    return Record(message.topic(), message.partition(), message.offset(), message.key(),
                  message.value(), tuple(message.headers() or ()), message.timestamp()[1])


def committed(bootstrap, group, topic):
    """The group's committed offset of each partition; None where there is none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        places = [TopicPartition(topic, p) for p in range(partition_count(bootstrap, topic))]
        return [place.offset if place.offset >= 0 else None
                for place in consumer.committed(places, timeout=TIMEOUT_S)]
    finally:
        consumer.close()


def end_offsets(bootstrap, topic):
    """Where each partition ends for a reader with read_committed."""
    return [high for _, high in watermarks(bootstrap, topic)]


def watermarks(bootstrap, topic, isolation="read_committed"):
    """(oldest offset, end) of each partition; with read_committed an open transaction is the end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nilai-test-reader",
                         "isolation.level": isolation})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S)
                for p in range(partition_count(bootstrap, topic))]
    finally:
        consumer.close()


def wait_until_decided(bootstrap, *topics, timeout_s=TIMEOUT_S):
    """Until no transaction is open in the topics: what the dead left behind has timed out."""
    deadline = time.monotonic() + timeout_s
    for topic in topics:
        while watermarks(bootstrap, topic) != watermarks(bootstrap, topic, "read_uncommitted"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"a transaction in {topic} is open after {timeout_s} s")
            time.sleep(0.1)


def leaders(bootstrap, topic):
    """The node that leads each partition."""
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=TIMEOUT_S)
    return [metadata.topics[topic].partitions[p].leader
            for p in range(len(metadata.topics[topic].partitions))]


def delete_records(bootstrap, topic, offsets):
    """Deletes what lies before the offset of each partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
    for future in admin.delete_records(places).values():
        future.result(TIMEOUT_S)


def delete_topic(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([topic], operation_timeout=TIMEOUT_S)[topic].result(TIMEOUT_S)


def set_offsets(bootstrap, group, topic, offsets):
    """Commits offsets for a group without members; those of the dead are waited for."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            request = ConsumerGroupTopicPartitions(group, places)
            answer = admin.alter_consumer_group_offsets([request])[group].result(TIMEOUT_S)
            errors = [place.error for place in answer.topic_partitions if place.error]
            if not errors:
                return
            raise KafkaException(errors[0])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
