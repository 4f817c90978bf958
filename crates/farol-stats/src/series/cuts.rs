//! One tree of random cuts, into which points can be put and from which they can be taken.
//!
//! ```text
//!            cut: dimension 0 at 3.2            a new point may be cut off above any branch,
//!            ╱                     ╲             more likely the farther it lies outside its box
//!     cut: dim. 1 at 0.4           leaf ●
//!      ╱           ╲                             displacement of ●: how many points its removal
//!   leaf          leaf                           would lift, over how many go with it
//! ```

use serde::{Deserialize, Serialize};

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Node {
    parent: u32,
    /// Both [`NONE`] in a leaf.
    children: [u32; 2],
    dimension: u32,
    cut: f32,
    /// How many points are below, duplicates included.
    count: u32,
    /// The lowest and then the highest value of each dimension.
    bounds: Box<[f32]>,
}

/// A robust random cut tree.
///
/// Source: S. Guha, N. Mishra, G. Roy, O. Schrijvers, "Robust Random Cut Forest Based Anomaly Detection On Streams", ICML
/// (2016): the distribution of trees after insertion and deletion is that of trees built anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CutTree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
}

/// A leaf of a tree, to remove it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf(u32);

impl Default for CutTree {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            root: NONE,
        }
    }
}

impl CutTree {
    /// Puts a point in. `uniform` gives numbers in [0, 1). All points of a tree have the same number of dimensions.
    pub fn insert(&mut self, point: &[f32], uniform: &mut impl FnMut() -> f64) -> Leaf {
        let mut at = self.root;
        if at == NONE {
            self.root = self.leaf(point, NONE);
            return Leaf(self.root);
        }
        loop {
            if let Some((dimension, cut)) = self.separating(at, point, uniform) {
                return self.split(at, point, dimension, cut);
            }
            let node = &mut self.nodes[at as usize];
            if node.children[0] == NONE {
                if node.bounds.starts_with(point) {
                    node.count += 1;
                    return Leaf(at);
                }
                // The cut was rounded to the box's edge: draw another.
                continue;
            }
            node.count += 1;
            widen(&mut node.bounds, point);
            at = node.children[usize::from(point[node.dimension as usize] > node.cut)];
        }
    }

    /// Takes a point out again. Duplicates share a leaf, which goes with the last of them.
    pub fn remove(&mut self, leaf: Leaf) {
        let Some(node) = self.nodes.get(leaf.0 as usize) else {
            return;
        };
        let parent = node.parent;
        if node.count > 1 {
            self.count_down(leaf.0);
            return;
        }
        self.free.push(leaf.0);
        if parent == NONE {
            self.root = NONE;
            return;
        }
        let above = self.nodes[parent as usize].parent;
        let sibling = self.sibling(leaf.0, parent);
        self.nodes[sibling as usize].parent = above;
        self.free.push(parent);
        self.replace(above, parent, sibling);
        self.count_down(above);
        self.tighten(above);
    }

    /// The collusive displacement of a leaf: the largest, over it and all nodes above it, of the number of points beside
    /// the node over the number in it. About 1 or 2 in the midst of points, up to the number of points for a far one.
    pub fn displacement(&self, leaf: Leaf) -> f64 {
        let mut largest = 0.0_f64;
        let mut at = leaf.0;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.parent == NONE {
                break;
            }
            let beside = &self.nodes[self.sibling(at, node.parent) as usize];
            largest = largest.max(f64::from(beside.count) / f64::from(node.count));
            at = node.parent;
        }
        largest
    }

    /// How many points are in the tree.
    pub fn len(&self) -> usize {
        self.nodes
            .get(self.root as usize)
            .map_or(0, |root| root.count as usize)
    }

    /// Whether there is no point in the tree.
    pub fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// A random cut of a node's box widened by a point, if it parts the point from the box.
    fn separating(
        &self,
        at: u32,
        point: &[f32],
        uniform: &mut impl FnMut() -> f64,
    ) -> Option<(usize, f32)> {
        let bounds = &self.nodes[at as usize].bounds;
        let (low, high) = bounds.split_at(point.len());
        let sides = low.iter().zip(high).zip(point);
        let sides = sides.map(|((low, high), value)| (low.min(*value), high.max(*value)));
        let total: f64 = sides
            .clone()
            .map(|(low, high)| f64::from(high) - f64::from(low))
            .sum();
        let mut along = uniform() * total;
        for (dimension, (from, to)) in sides.enumerate() {
            let side = f64::from(to) - f64::from(from);
            if along < side {
                let cut = (f64::from(from) + along) as f32;
                let outside = cut < low[dimension] && point[dimension] <= cut
                    || cut >= high[dimension] && point[dimension] > cut;
                return outside.then_some((dimension, cut));
            }
            along -= side;
        }
        None
    }

    /// Puts a new branch in a node's place: the node on one side, the point on the other.
    fn split(&mut self, at: u32, point: &[f32], dimension: usize, cut: f32) -> Leaf {
        let node = &self.nodes[at as usize];
        let (parent, count) = (node.parent, node.count);
        let mut bounds = node.bounds.clone();
        widen(&mut bounds, point);
        let leaf = self.leaf(point, NONE);
        let children = if point[dimension] > cut {
            [at, leaf]
        } else {
            [leaf, at]
        };
        let branch = self.place(Node {
            parent,
            children,
            dimension: dimension as u32,
            cut,
            count: count + 1,
            bounds,
        });
        self.nodes[at as usize].parent = branch;
        self.nodes[leaf as usize].parent = branch;
        self.replace(parent, at, branch);
        Leaf(leaf)
    }

    fn leaf(&mut self, point: &[f32], parent: u32) -> u32 {
        self.place(Node {
            parent,
            children: [NONE; 2],
            dimension: 0,
            cut: 0.0,
            count: 1,
            bounds: point.iter().chain(point).copied().collect(),
        })
    }

    fn place(&mut self, node: Node) -> u32 {
        if let Some(free) = self.free.pop() {
            self.nodes[free as usize] = node;
            return free;
        }
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    fn sibling(&self, child: u32, parent: u32) -> u32 {
        let [left, right] = self.nodes[parent as usize].children;
        if left == child { right } else { left }
    }

    /// Makes `new` what `old` was to `parent`.
    fn replace(&mut self, parent: u32, old: u32, new: u32) {
        match self.nodes.get_mut(parent as usize) {
            Some(node) => {
                let side = usize::from(node.children[0] != old);
                node.children[side] = new;
            }
            None => self.root = new,
        }
    }

    /// One point less in a node and all above it.
    fn count_down(&mut self, from: u32) {
        let mut at = from;
        while let Some(node) = self.nodes.get_mut(at as usize) {
            node.count -= 1;
            at = node.parent;
        }
    }

    /// Draws the boxes of a branch and all above it anew from those of their children.
    fn tighten(&mut self, from: u32) {
        let mut at = from;
        while let Some(node) = self.nodes.get(at as usize) {
            let [left, right] = node.children;
            let mut bounds = self.nodes[left as usize].bounds.clone();
            let other = &self.nodes[right as usize].bounds;
            let (low, high) = other.split_at(other.len() / 2);
            widen(&mut bounds, low);
            widen(&mut bounds, high);
            let node = &mut self.nodes[at as usize];
            node.bounds = bounds;
            at = node.parent;
        }
    }
}

/// Widens a box so that it holds a point.
fn widen(bounds: &mut [f32], point: &[f32]) {
    let (low, high) = bounds.split_at_mut(point.len());
    for ((low, high), value) in low.iter_mut().zip(high).zip(point) {
        *low = low.min(*value);
        *high = high.max(*value);
    }
}
