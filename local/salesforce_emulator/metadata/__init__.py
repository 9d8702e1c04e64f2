"""What administrators read and write as metadata: by the Metadata API's SOAP and the Tooling API.

One module per kind of component says what a component is, how it is checked and saved; the two
APIs only carry it. Components are plain documents: texts, booleans, lists, documents.
"""
