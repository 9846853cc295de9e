//! The order of a merged list.
//!
//! Elements that the patch names (in its list, or in `$setElementOrder`) are in the patch's order, the others in the
//! live list's. One of the others goes before one of the patch's where both were in the live list in that order; so
//! an element that is new in the patch goes first, and not last.

use serde_json::Value;
use std::collections::HashMap;

/// What tells an element of a list from the others: the JSON of its key, or of itself.
pub type Id = String;

/// Up to here, upstream's sort is an insertion sort.
const INSERTION_SORT_ITEMS_MAX: usize = 20;

/// An element with its id.
pub struct OrderedItem {
    pub id: Id,
    pub value: Value,
}

/// The elements in order: `named` is the patch's order, `live` the live list's.
pub fn arrange(items: Vec<OrderedItem>, named: &[Id], live: &[Id]) -> Vec<Value> {
    let live = positions(live);
    let order = positions(named);
    let (patched, others): (Vec<OrderedItem>, Vec<OrderedItem>) =
        items.into_iter().partition(|item| order.contains_key(&item.id));
    let mut patched = sorted(patched, &order).into_iter().peekable();
    let mut arranged = Vec::new();
    for other in sorted(others, &live) {
        let place = live.get(&other.id);
        // A patched element stays after another only where both were in the live list, this one first.
        let stays = |item: &OrderedItem| matches!((place, live.get(&item.id)), (Some(a), Some(b)) if a < b);
        while let Some(next) = patched.next_if(|item| !stays(item)) {
            arranged.push(next.value);
        }
        arranged.push(other.value);
    }
    arranged.extend(patched.map(|item| item.value));
    arranged
}

fn positions(ids: &[Id]) -> HashMap<&Id, usize> {
    let mut positions = HashMap::with_capacity(ids.len());
    for (position, id) in ids.iter().enumerate() {
        positions.entry(id).or_insert(position);
    }
    positions
}

/// Sorted by an order.
///
/// An element that the order does not know is less than any other to upstream's sort, and any other is less than it:
/// where it comes to stand is what an insertion sort, which sorts short lists there, makes of that.
fn sorted(mut items: Vec<OrderedItem>, order: &HashMap<&Id, usize>) -> Vec<OrderedItem> {
    let place = |item: &OrderedItem| order.get(&item.id).copied();
    if items.len() > INSERTION_SORT_ITEMS_MAX || items.iter().all(|item| place(item).is_some()) {
        items.sort_by_key(|item| place(item).unwrap_or(usize::MAX));
        return items;
    }
    let is_less = |left: &OrderedItem, right: &OrderedItem| match (place(left), place(right)) {
        (Some(left), Some(right)) => left < right,
        _ => true,
    };
    for end in 1..items.len() {
        for at in (1..=end).rev() {
            if !is_less(&items[at], &items[at - 1]) {
                break;
            }
            items.swap(at, at - 1);
        }
    }
    items
}

/// The list without the elements of these ids, and the ids that stand in the list's memory afterwards.
///
/// Upstream deletes in place: what follows moves up, and after the end the list's last element stays. It then looks
/// into that memory for the order of the live list, and finds there what was appended meanwhile. That decides where a
/// new element goes when the last one is deleted, so it is done alike.
pub fn delete(items: Vec<OrderedItem>, deleted: &[Id]) -> (Vec<OrderedItem>, Vec<Id>) {
    let mut places: HashMap<&Id, Vec<usize>> = HashMap::new();
    for (place, item) in items.iter().enumerate() {
        places.entry(&item.id).or_default().push(place);
    }
    let mut is_there = vec![true; items.len()];
    let mut left_behind = Vec::new();
    let mut end = items.len();
    for place in deleted.iter().filter_map(|id| places.remove(id)).flatten() {
        while !is_there[end - 1] {
            end -= 1;
        }
        left_behind.push(items[end - 1].id.clone());
        is_there[place] = false;
    }
    let survivors: Vec<OrderedItem> =
        items.into_iter().zip(is_there).filter(|(_, is_there)| *is_there).map(|(item, _)| item).collect();
    let memory = survivors.iter().map(|item| item.id.clone()).chain(left_behind.into_iter().rev()).collect();
    (survivors, memory)
}
