"""A flow whose values only a serializer of its own can store."""

from rayflow import FlowSpec, Parameter, catch, step
from rayflow.datastore.artifacts import ArtifactSerializer, SerializationFormat, SerializationMetadata, SerializedBlob
from rayflow.exception import RayflowException


class Money:
    """Refuses to be pickled."""

    def __init__(self, cents, filling=b""):
        self.cents = cents
        self.filling = filling

    def __reduce__(self):
        raise TypeError("money is not pickled")


class MoneySerializer(ArtifactSerializer):
    TYPE = "money"

    @classmethod
    def can_serialize(cls, obj):
        return isinstance(obj, Money)

    @classmethod
    def can_deserialize(cls, metadata):
        return metadata.encoding == "money-v1"

    @classmethod
    def serialize(cls, obj, format=SerializationFormat.STORAGE):
        if obj.cents == -1:
            raise ValueError("debts are not stored")
        if obj.cents == -2:
            raise RayflowException("money is out")
        content = b"%d " % obj.cents + obj.filling
        return [SerializedBlob(content)], SerializationMetadata(str(type(obj)), len(content), "money-v1", {"currency": "EUR"})

    @classmethod
    def deserialize(cls, data, metadata=None, format=SerializationFormat.STORAGE):
        assert metadata.serializer_info["currency"] == "EUR"
        cents, _, filling = data[0].partition(b" ")
        return Money(int(cents), filling)


class Bought(FlowSpec):
    """From a lone task into a fan-out of several steps, which runs fused, and together again."""

    splits = Parameter("splits", default=40)
    cents = Parameter("cents", default=3)
    file = Parameter("file", default="", help="What must be there at the end.")

    @step
    def start(self):
        self.price = Money(self.cents)
        self.large = Money(1, bytes(100_000))
        self.numbers = list(range(self.splits))
        self.next(self.pay, foreach="numbers")

    @step
    def pay(self):
        self.paid = Money(self.price.cents * self.input)
        self.next(self.double)

    @step
    def double(self):
        self.doubled = Money(2 * self.paid.cents)
        self.weight = len(self.large.filling)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = Money(sum(each.doubled.cents for each in inputs))
        self.weights = {each.weight for each in inputs}
        self.merge_artifacts(inputs, include=["price", "large"])
        self.next(self.end)

    @step
    def end(self):
        if self.file:
            open(self.file).close()
        self.sum = self.total.cents + self.price.cents


class Unpaid(FlowSpec):
    """Tries to store what the serializer refuses."""

    cents = Parameter("cents", default=-1)

    @catch(var="problem")
    @step
    def start(self):
        self.kept = 1
        self.debt = Money(self.cents)
        self.next(self.end)

    @step
    def end(self):
        self.has_debt = hasattr(self, "debt")
        self.last = Money(self.cents)
