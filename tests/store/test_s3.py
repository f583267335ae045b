"""The store on S3 over real HTTP: moto's server, where it is installed (`pip install moto[server]`)."""

import numpy as np
import pytest

from rayflow.model.errors import StoreFault
from rayflow.store.blobs import Blobs
from rayflow.store.remote import RemoteStore, can_create_exclusively
from rayflow.testing.store_contract import StoreContract


@pytest.fixture
def store(bucket):
    return RemoteStore(bucket())


class TestS3(StoreContract):
    @pytest.fixture
    def store(self, store):
        return store

    def reopened(self, store):
        return RemoteStore(store.url, **store.__getstate__()["options"])


def test_the_probe_finds_that_s3_creates_exclusively(store):
    assert (can_create_exclusively(store), list(store.list(""))) == (True, [])


def test_a_large_blob_is_read_by_parallel_ranges(store):
    array = np.arange(6_000_000)
    blobs = Blobs(store, "Flow", "1")

    artifact = blobs.put("array", array)

    assert np.array_equal(blobs.load(artifact, "array"), array)


def test_a_bucket_that_is_not_there_is_named(store):
    with pytest.raises(StoreFault, match="no-such-bucket"):
        RemoteStore("s3://no-such-bucket/root", deadline_s=2).write("x", [b"."])


def test_an_endpoint_that_does_not_answer_is_a_retryable_fault_within_the_deadline(store):
    store = RemoteStore("s3://bucket/root", deadline_s=1, endpoint_url="http://127.0.0.1:9")

    with pytest.raises(StoreFault, match="It was retried") as caught:
        store.read("x")

    assert caught.value.is_retryable
