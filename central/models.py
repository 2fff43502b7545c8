"""Every slice's tables, imported once, so that migrations see one metadata."""

from __future__ import annotations

from sqlmodel import SQLModel

import central.attendance.models
import central.attendance.retention_models
import central.audit.models
import central.identity.models
import central.kit.outbox
import central.myself.models
import central.privacy.models
import central.registry.contract_models
import central.registry.import_models
import central.registry.models
import central.registry.record_models
import central.registry.words  # noqa: F401 - imported for the tables and indexes they declare

metadata = SQLModel.metadata
