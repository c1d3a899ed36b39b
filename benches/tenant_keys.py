"""A tenant's keys in a keystore, as the gateway holds them once the KMS has unwrapped them; no KMS is asked."""

import time
import uuid
from typing import Final

from intelgraph._core import Keystore, TenantKey

_LEASE_US: Final = 3_600_000_000


class SealingTenant:
    """A tenant with a live lease, a tenant key, an index key and a data key."""

    def __init__(self, keystore: Keystore) -> None:
        self.keystore = keystore
        self.tenant_id = uuid.uuid4().bytes
        keystore.renew(self.tenant_id, Keystore.tick(), _LEASE_US)
        keystore.add_tenant_key(TenantKey.generate(self.tenant_id, time.time_ns() // 1000))
        keystore.activate_index_key(keystore.generate_index_key(self.tenant_id))

    def make_ready(self, messages: int) -> None:
        """Replaces the data key before it is used up, as the gateway does; that is rare and cheap."""
        if self.keystore.seal_slot(self.tenant_id, messages) != "ready":
            self.keystore.activate(self.keystore.generate_dek(self.tenant_id))
