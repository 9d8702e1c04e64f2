"""What the org tells about itself: versions, resources, objects, fields, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.objects import Field, FieldType, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_SOAP_TYPES: dict[FieldType, str] = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "datetime": "xsd:dateTime",
    "date": "xsd:date",
    "anyType": "xsd:anyType",
}
# Keys which have the same value for every field emulated here [recorded].
_CONSTANT_KEYS: dict[str, object] = {
    "aiPredictionField": False, "autoNumber": False, "calculated": False,
    "calculatedFormula": None, "cascadeDelete": False, "caseSensitive": False,
    "compoundFieldName": None, "controllerName": None, "defaultValueFormula": None,
    "dependentPicklist": False, "deprecatedAndHidden": False, "digits": 0,
    "displayLocationInDecimal": False, "encrypted": False, "externalId": False,
    "extraTypeInfo": None, "filteredLookupInfo": None,
    "formulaTreatNullNumberAsZero": False, "highScaleNumber": False,
    "htmlFormatted": False, "inlineHelpText": None, "mask": None, "maskType": None,
    "namePointing": False, "picklistValues": [], "polymorphicForeignKey": False, "precision": 0,
    "queryByDistance": False, "referenceTargetField": None, "relationshipOrder": None,
    "restrictedDelete": False, "restrictedPicklist": False, "scale": 0,
    "searchPrefilterable": False, "sortable": True, "unique": False,
    "writeRequiresMasterRead": False,
}  # fmt: skip


def versions(_org: Org, call: Call) -> Response:
    """``GET /services/data``: needs no login [documented]."""
    numbers = [f"{number}.0" for number in range(31, 67)]
    return call.answer(
        [
            {"label": f"v{number}", "url": f"/services/data/v{number}", "version": number}
            for number in numbers
        ]
    )


def resources(_org: Org, call: Call) -> Response:
    """``GET /services/data/v{v}``: only what is emulated."""
    names = ("composite", "jobs", "limits", "query", "queryAll", "sobjects")
    return call.answer({name: f"{call.data_path}/{name}" for name in names})


def limits(org: Org, call: Call) -> Response:
    """``GET limits``."""
    return call.answer(org.limits.report())


def describe_global(org: Org, call: Call) -> Response:
    """``GET sobjects``."""
    objects = [
        _object_summary(each, call.data_path) for each in org.schema_of(call.user_id).object_types()
    ]
    return call.answer({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})


def object_metadata(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}``."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    summary = _object_summary(object_type, call.data_path)
    return call.answer({"objectDescribe": summary, "recentItems": []})


def describe_object(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/describe``: a hidden field is absent [recorded]."""
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    fields = [
        _field(field, updateable=org.schema_of(call.user_id).access(object_type, field).updateable)
        for field in org.schema_of(call.user_id).visible_fields(object_type)
    ]
    summary = _object_summary(object_type, call.data_path)
    return call.answer({**summary, "childRelationships": [], "fields": fields})


def _object_summary(object_type: ObjectType, data_path: str) -> dict[str, Any]:
    base = f"{data_path}/sobjects/{object_type.name}"
    is_record = object_type.updateable
    is_history = object_type.history_of is not None
    return {
        "activateable": False, "createable": False, "custom": False, "customSetting": False,
        "deletable": False, "deprecatedAndHidden": False, "feedEnabled": False,
        "keyPrefix": object_type.key_prefix, "label": object_type.name,
        "labelPlural": object_type.plural, "layoutable": not is_history, "mergeable": is_record,
        "mruEnabled": not is_history, "name": object_type.name, "queryable": True,
        "replicateable": True, "retrieveable": True, "searchable": not is_history,
        "triggerable": is_record, "undeletable": is_record, "updateable": is_record,
        "urls": {
            "sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}",
        },
    }  # fmt: skip


def _field(field: Field, *, updateable: bool) -> dict[str, Any]:
    is_boolean = field.type == "boolean"
    return {
        **_CONSTANT_KEYS,
        "aggregatable": not is_boolean,
        "byteLength": field.length if field.type in ("id", "reference") else field.length * 3,
        "createable": updateable,
        "custom": field.custom,
        "defaultValue": False if is_boolean else None,
        "defaultedOnCreate": is_boolean or not field.permissionable,
        "idLookup": field.type in ("id", "email"),
        "filterable": field.type != "anyType",
        "groupable": field.type != "anyType",
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.name == "Name",
        "nillable": field.nillable,
        "permissionable": field.permissionable,
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship,
        "soapType": _SOAP_TYPES.get(field.type, "xsd:string"),
        "type": field.type,
        "updateable": updateable,
    }
