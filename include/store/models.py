"""Tables of the engagement store as SQLAlchemy sees them; the migrations are their source."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    func,
    literal_column,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """One registry for both schemas: bigint keys, text, aware times."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, object]: JSONB(),
    }


class Person(Base):
    """Somebody who can be mailed. The only table of this project with an address."""

    __tablename__ = "person"
    __table_args__ = (
        Index("person_salesforce_id", "salesforce_id"),
        Index(
            "person_salesforce_record",
            literal_column("engagement.record_key(salesforce_id)"),
            postgresql_where=literal_column("salesforce_id IS NOT NULL"),
        ),
        Index("person_address", literal_column("lower(btrim(email))")),
        {"schema": "engagement"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str]
    salesforce_id: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Unsubscribe(Base):
    """One act of a person, or of the sync: append-only."""

    __tablename__ = "unsubscribe"
    __table_args__ = (
        Index(
            "unsubscribe_newest",
            "person_id",
            literal_column("LEAST(occurred_at, recorded_at)").desc(),
            literal_column("id").desc(),
        ),
        Index(
            "unsubscribe_clear",
            "person_id",
            postgresql_where=literal_column("kind = 'resubscribe' AND origin = 'Salesforce Sync'"),
        ),
        Index(
            "unsubscribe_resubscribe",
            "person_id",
            postgresql_where=literal_column("kind = 'resubscribe'"),
        ),
        Index(
            "unsubscribe_recorded",
            "recorded_at",
            postgresql_where=literal_column("kind = 'unsubscribe'"),
        ),
        {"schema": "engagement"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id, ondelete="CASCADE"))
    kind: Mapped[str]
    scope: Mapped[str]
    origin: Mapped[str]
    reason: Mapped[str | None]
    actor: Mapped[str | None]
    approver: Mapped[str | None]
    evidence_ref: Mapped[str | None]
    caused_by: Mapped[str | None]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    ends: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))


class ErasureKey(Base):
    """The two keys of `address_hash`. One row, which only the owner reads."""

    __tablename__ = "erasure_key"
    __table_args__ = ({"schema": "engagement"},)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    inner_key: Mapped[bytes]
    outer_key: Mapped[bytes]


class ErasedOptOut(Base):
    """An opt-out of somebody who was erased, under a keyed hash of the address."""

    __tablename__ = "erased_opt_out"
    __table_args__ = ({"schema": "engagement"},)

    address_hash: Mapped[bytes] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)
    opted_out_at: Mapped[datetime]
    erased_at: Mapped[datetime]
