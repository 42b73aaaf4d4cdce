// OpenZeppelin's tree of the standings on standard input, and proofs from it, timed: one JSON line for each that is asked for.
const { readFileSync } = require("node:fs");
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const { standings, proofs } = JSON.parse(readFileSync(0, "utf8"));
const seconds = (work) => {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
};

let tree;
const made = seconds(() => {
  tree = StandardMerkleTree.of(standings, ["uint256", "uint64", "uint32"], { sortLeaves: false });
});
const step = Math.max(1, Math.floor(standings.length / proofs));
for (let i = 0; i < proofs; ++i) tree.getProof((i * step) % standings.length); // warm
const proved = seconds(() => {
  for (let i = 0; i < proofs; ++i) tree.getProof((i * step + 1) % standings.length);
});
console.log(JSON.stringify({ root: tree.root, tree: made, proof: proved / proofs }));
