"""Names for the org's first records, chosen to find encoding bugs."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Agnieszka", "Ahmed", "Aiko", "Aleksandr", "Ana", "Anders", "Ángela", "Björn", "Camille",
    "Chidi", "Chloé", "Daniel", "Đorđe", "Élodie", "Emma", "Fatima", "François", "Giulia", "Grace",
    "Hana", "Ingrid", "Ivan", "João", "José", "Jürgen", "Kwame", "Lakshmi", "Liam", "Łukasz",
    "Maria", "Mei", "Mohammed", "Nadia", "Noah", "Olivia", "Óscar", "Priya", "Rafael", "Renée",
    "Sean", "Sofía", "Søren", "Tomáš", "Ulla", "Victor", "Wei", "Yusuf", "Zoë", "Žofie",
    "美咲", "伟", "Ольга", "Δημήτρης",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Andersson", "Bianchi", "Brown", "Çelik", "Chen", "Dąbrowski", "D'Angelo", "Dubois",
    "Fernández", "Fischer", "García", "Gonçalves", "Haddad", "Hansen", "Ibrahim", "Ivanova",
    "Johnson", "Jönsson", "Kim", "Kowalska", "Lefèvre", "Lindqvist", "López", "Martin", "Meyer",
    "Møller", "Müller", "Nakamura", "Nguyễn", "Novák", "O'Brien", "Okafor", "Patel", "Peña",
    "Petrović", "Rossi", "Sánchez", "Schmidt", "Sharma", "Silva", "Smith", "Søndergaard", "Tanaka",
    "Van der Berg", "Wang", "Weiß", "Williams", "Yilmaz", "Zhou",
)  # fmt: skip
COMPANIES = (
    "Acme", "Borealis", "Brightwater", "Café Lumière", "Dünya Lojistik", "Evergreen",
    "Fjord & Sons", "Globex", "Harbor, Inc.", "Initech", "Juniper Labs", "Kestrel",
    "Lakeside \"West\"",
    "Meridian", "Northwind", "Olivetti Rossi", "Pioneer", "Quartz", "Redwood", "Système U",
    "Tailspin", "Umbra",
)  # fmt: skip
STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted")
TITLES = ("CEO", "VP Sales", "Buyer", "Engineer", "Office Manager", None)
