"""How a describe shows objects and fields: every key of the recorded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, FieldType, ObjectType

_SOAP_TYPES: dict[FieldType, str] = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "datetime": "xsd:dateTime",
    "date": "xsd:date",
    "double": "xsd:double",
    "anyType": "xsd:anyType",
}
# Keys which have the same value for every field emulated here [recorded].
_OF_FIELDS: dict[str, object] = {
    "aiPredictionField": False, "autoNumber": False, "calculated": False,
    "calculatedFormula": None, "cascadeDelete": False, "caseSensitive": False,
    "compoundFieldName": None, "controllerName": None, "defaultValueFormula": None,
    "dependentPicklist": False, "deprecatedAndHidden": False, "digits": 0,
    "displayLocationInDecimal": False, "encrypted": False, "extraTypeInfo": None,
    "filteredLookupInfo": None, "formulaTreatNullNumberAsZero": False, "highScaleNumber": False,
    "htmlFormatted": False, "mask": None, "maskType": None, "namePointing": False,
    "polymorphicForeignKey": False, "precision": 0, "queryByDistance": False,
    "referenceTargetField": None, "relationshipOrder": None, "restrictedDelete": False,
    "scale": 0, "searchPrefilterable": False, "writeRequiresMasterRead": False,
}  # fmt: skip
# And for every object: in the list of all, and in its own describe [recorded].
_OF_SUMMARIES: dict[str, object] = {
    "activateable": False, "associateEntityType": None, "associateParentEntity": None,
    "custom": False, "customSetting": False, "deepCloneable": False, "deprecatedAndHidden": False,
    "feedEnabled": False, "hasSubtypes": False, "isInterface": False, "isSubtype": False,
}  # fmt: skip
_OF_DESCRIBES: dict[str, object] = {
    "actionOverrides": [], "childRelationships": [], "compactLayoutable": True,
    "defaultImplementation": None, "extendedBy": None, "extendsInterfaces": None,
    "implementedBy": None, "implementsInterfaces": None, "listviewable": None,
    "lookupLayoutable": None, "namedLayoutInfos": [], "networkScopeFieldName": None,
    "searchLayoutable": True, "sobjectDescribeOption": "FULL",
    "supportedScopes": [{"label": "All records", "name": "everything"}],
}  # fmt: skip
_MASTER_RECORD_TYPE = "012000000000000AAA"  # [recorded]


def object_summary(object_type: ObjectType, data_path: str) -> dict[str, Any]:
    """Return an object as the list of all objects shows it."""
    base = f"{data_path}/sobjects/{object_type.name}"
    is_record = object_type.updateable
    is_history = object_type.history_of is not None
    return {
        **_OF_SUMMARIES, "createable": object_type.saves, "deletable": object_type.saves,
        "keyPrefix": object_type.key_prefix, "label": object_type.name,
        "labelPlural": object_type.plural, "layoutable": not is_history, "mergeable": is_record,
        "mruEnabled": not is_history, "name": object_type.name, "queryable": True,
        "replicateable": True, "retrieveable": True, "searchable": not is_history,
        "triggerable": is_record, "undeletable": is_record, "updateable": object_type.saves,
        "urls": {
            "sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}",
        },
    }  # fmt: skip


def object_description(object_type: ObjectType, data_path: str) -> dict[str, Any]:
    """Return an object as its own describe shows it, without its fields."""
    layout = f"{data_path}/sobjects/{object_type.name}/describe/layouts/{_MASTER_RECORD_TYPE}"
    record_type = {
        "active": True, "available": True, "defaultRecordTypeMapping": True,
        "developerName": "Master", "master": True, "name": "Master",
        "recordTypeId": _MASTER_RECORD_TYPE, "urls": {"layout": layout},
    }  # fmt: skip
    summary = object_summary(object_type, data_path)
    return {**summary, **_OF_DESCRIBES, "recordTypeInfos": [record_type]}


def field_description(field: Field, *, updateable: bool, createable: bool) -> dict[str, Any]:
    """Return a field."""
    is_boolean = field.type == "boolean"
    is_filterable = field.type not in ("anyType", "textarea")
    return {
        **_OF_FIELDS,
        "aggregatable": not is_boolean,
        "byteLength": field.length if field.type in ("id", "reference") else field.length * 3,
        "createable": createable,
        "custom": field.custom,
        "defaultValue": bool(field.default) if is_boolean else None,
        "defaultedOnCreate": is_boolean or not field.permissionable,
        "externalId": field.external_id,
        "filterable": is_filterable,
        "groupable": is_filterable and field.type not in ("datetime", "double"),
        "idLookup": field.type == "id" or field.lookup or field.external_id,
        "inlineHelpText": field.help,
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.name == "Name",
        "nillable": field.nillable,
        "permissionable": field.permissionable,
        "picklistValues": [_choice(value) for value in field.choices],
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship,
        "restrictedPicklist": bool(field.choices),
        "soapType": _SOAP_TYPES.get(field.type, "xsd:string"),
        "sortable": field.type != "textarea",
        "type": field.type,
        "unique": field.unique,
        "updateable": updateable,
    }


def _choice(value: str) -> dict[str, object]:
    return {
        "active": True, "defaultValue": False, "label": value, "validFor": None, "value": value,
    }  # fmt: skip
