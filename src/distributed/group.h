// Processes that compute together, for what is built with libtorch's CPU half and for what is built with its CUDA half.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

struct StrandnetGroup {
  // Strings that all processes read and write.
  c10::intrusive_ptr<c10d::Store> store;
  // What sums tensors over all of them, once they are connected.
  c10::intrusive_ptr<c10d::Backend> backend;
};
