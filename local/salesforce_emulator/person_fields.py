"""The fields which an org with person accounts has more [documented].

What a person account shows of its person is kept once, on the Contact.
"""

from __future__ import annotations

from dataclasses import replace

from local.salesforce_emulator.objects import Field, ObjectType, system_field

FEATURE = "person accounts"
IS_PERSON = system_field("IsPersonAccount", "boolean", "Is Person Account")
PERSON_CONTACT = system_field(
    "PersonContactId",
    "reference",
    "Contact ID",
    18,
    nillable=True,
    reference_to=("Contact",),
    relationship="PersonContact",
)
_MIRRORED = {
    "LastName": "LastName",
    "FirstName": "FirstName",
    "Salutation": "Salutation",
    "PersonTitle": "Title",
    "PersonEmail": "Email",
    "PersonHasOptedOutOfEmail": "HasOptedOutOfEmail",
}


def person_account(account: ObjectType, contact: ObjectType) -> ObjectType:
    """Return the Account with the fields of its person: the Contact's ``X__c`` is ``X__pc``.

    Repeating it adds what the Contact got since.
    """
    by_name = {field.name: field for field in contact.fields}
    mirrored = _MIRRORED | {
        f"{name.removesuffix('__c')}__pc": name for name in by_name if name.endswith("__c")
    }
    fields = (
        IS_PERSON,
        PERSON_CONTACT,
        *(_mirror(name, by_name[source]) for name, source in mirrored.items()),
    )
    new = tuple(field for field in fields if not account.has(field.name))
    return replace(account, fields=(*account.fields, *new))


def _mirror(name: str, source: Field) -> Field:
    """Return the Account's view of a Contact's field; false or empty without a person."""
    value = (
        f'(select "person"."{source.name}" from "Contact" "person"'  # noqa: S608
        ' where "person"."Id" = {table}."PersonContactId")'
    )
    expression = f"coalesce({value}, 0)" if source.type == "boolean" else value
    return replace(source, name=name, expression=expression, mirrors=source.name)
