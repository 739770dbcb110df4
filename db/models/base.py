"""The declarative base and its conventions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, MetaData, func
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING_CONVENTION = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

GeneratedId = Annotated[
    UUID,
    mapped_column(PGUUID(as_uuid=True), primary_key=True, server_default=func.gen_random_uuid()),
]
Time = Annotated[datetime, mapped_column(DateTime(timezone=True))]
# Not now(), which is the start of the transaction: under the template's row lock,
# clock_timestamp() increases in the order of the publishes.
CreatedAt = Annotated[
    datetime, mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
]
UpdatedAt = Annotated[
    datetime,
    mapped_column(
        DateTime(timezone=True),
        server_default=func.clock_timestamp(),
        onupdate=func.clock_timestamp(),
    ),
]


class Base(DeclarativeBase):
    """Base of all tables; constraints get predictable names, so that migrations can drop them."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
