"""Messages sealed and opened by the core, as `EnvelopeService` has it done."""

from uuid import UUID

from intelgraph._core import Keystore, MessagesToOpen, MessagesToSeal, SealReservation
from intelgraph.gateway.v1 import envelope_pb2


class Messages:
    """A batch of messages of one tenant."""

    def __init__(self, tenant_id: UUID, *plaintexts: bytes) -> None:
        self._tenant_id = tenant_id
        request = envelope_pb2.EncryptRequest(context=b"test", plaintexts=plaintexts)
        self._batch = MessagesToSeal.decode(request.SerializeToString())

    def reserve(self, keystore: Keystore) -> SealReservation:
        """Takes their part of the data key's budget; raises KeyUnavailable."""
        return self._batch.reserve(keystore, self._tenant_id.bytes)

    def seal(self, reservation: SealReservation) -> list[bytes]:
        """The envelopes; raises KeyUnavailable."""
        return [*envelope_pb2.EncryptResponse.FromString(self._batch.seal(reservation)).envelopes]


def opened(keystore: Keystore, tenant_id: UUID, *envelopes: bytes) -> list[bytes]:
    """The messages; raises KeyUnavailable."""
    request = envelope_pb2.DecryptRequest(context=b"test", envelopes=envelopes)
    answer = MessagesToOpen.decode(request.SerializeToString()).open(keystore, tenant_id.bytes)
    results = envelope_pb2.DecryptResponse.FromString(answer).results
    assert not [result.error for result in results if result.HasField("error")]
    return [result.plaintext for result in results]
