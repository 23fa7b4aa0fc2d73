// Prints the segment of each change, one a line; a subscription that ends is a failure.

function fail(error) {
  console.error(error);
  process.exit(1);
}

export const show = {
  next({ data, errors }) {
    if (errors) fail(errors);
    console.log(data.changed.segmentId);
  },
  error: fail,
  complete: () => fail("complete"),
};
