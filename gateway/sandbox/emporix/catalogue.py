"""What the sandbox's shop sells: categories in a tree, products in categories.

The segment service only copies codes and names from here; there is no catalogue service.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.emporix.languages import narrowed


@dataclass(frozen=True, slots=True)
class Category:
    """A category; one without a parent is at the top."""

    id: str
    code: str
    parent: str
    name: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Product:
    """A product and the category it is in."""

    id: str
    code: str
    category: str
    name: Mapping[str, str]


def _category(code: str, parent: str, en: str, de: str) -> Category:
    return Category(f"cat-{code}", code, parent and f"cat-{parent}", {"en": en, "de": de})


CATEGORIES = (
    _category("kitchen", "", "Kitchen", "Küche"),
    _category("coffee", "kitchen", "Coffee", "Kaffee"),
    _category("espresso", "coffee", "Espresso", "Espresso"),
    _category("tea", "kitchen", "Tea", "Tee"),
    _category("workshop", "", "Workshop", "Werkstatt"),
    _category("handtools", "workshop", "Hand tools", "Handwerkzeug"),
    _category("safety", "workshop", "Safety", "Arbeitsschutz"),
    _category("garden", "", "Garden", "Garten"),
)
PRODUCTS = tuple(
    Product(f"p{1001 + n}", f"SKU-{1001 + n}", f"cat-{category}", {"en": en, "de": de})
    for n, (category, en, de) in enumerate(
        (
            ("coffee", "Filter coffee, 500 g", "Filterkaffee, 500 g"),
            ("coffee", "Decaf coffee, 500 g", "Kaffee entkoffeiniert, 500 g"),
            ("espresso", "Espresso beans, 1 kg", "Espressobohnen, 1 kg"),
            ("espresso", "Espresso cups, set of 4", "Espressotassen, 4er-Set"),
            ("tea", "Green tea, 100 g", "Grüner Tee, 100 g"),
            ("tea", "Tea pot, 1.2 l", "Teekanne, 1,2 l"),
            ("handtools", "Claw hammer", "Klauenhammer"),
            ("handtools", "Screwdriver set", "Schraubendreher-Satz"),
            ("handtools", "Folding rule, 2 m", "Zollstock, 2 m"),
            ("safety", "Safety goggles", "Schutzbrille"),
            ("safety", "Work gloves, size 9", "Arbeitshandschuhe, Größe 9"),
            ("garden", "Watering can, 10 l", "Gießkanne, 10 l"),
            ("garden", "Pruning shears", "Gartenschere"),
            ("garden", "Bird seed, 5 kg", "Vogelfutter, 5 kg"),
        )
    )
)


class Catalogue:
    """Categories and products by id."""

    def __init__(self) -> None:
        self._categories = {one.id: one for one in CATEGORIES}
        self._products = {one.id: one for one in PRODUCTS}

    def item(self, item_id: str, item_type: str) -> dict[str, Any] | None:
        """Return a product or category as it is copied into an assignment; None if unknown."""
        kind: Mapping[str, Product | Category] = (
            self._products if item_type == "PRODUCT" else self._categories
        )
        item = kind.get(item_id)
        return {"id": item_id, "code": item.code, "name": item.name} if item else None

    def products_in(self, categories: Iterable[str]) -> set[str]:
        """Return the products of these categories and of their subcategories."""
        wanted = set(categories)
        return {
            product.id
            for product in self._products.values()
            if wanted.intersection(self._upwards(product.category))
        }

    def tree(self, assigned: Iterable[str], languages: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the tree of these categories: with their descendants and ancestors."""
        wanted = set(assigned)
        inherits = {one for one in self._categories if wanted.intersection(self._upwards(one))}
        shown = {above for one in inherits for above in self._upwards(one)}

        def nodes(parent: str) -> list[dict[str, Any]]:
            children = [one for one in CATEGORIES if one.parent == parent and one.id in shown]
            return [
                {
                    "id": one.id,
                    **({"parentId": parent} if parent else {}),
                    "code": one.code,
                    "name": narrowed(one.name, languages),
                    "position": position,
                    "published": True,
                    "isSegmentAssigned": one.id in inherits,
                    "subcategories": nodes(one.id),
                }
                for position, one in enumerate(children)
            ]

        return nodes("")

    def _upwards(self, category_id: str) -> list[str]:
        """Return a category and its ancestors."""
        path = []
        while category_id:
            path.append(category_id)
            category_id = self._categories[category_id].parent
        return path
