// What libtorch.rs asks of libtorch, tch does not bind or lets exceptions out of, and needs no CUDA headers.

#include "message.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>

#include <cstdlib>
#include <mutex>

namespace {

constexpr at::Float32Op OPERATIONS[] = {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL};

} // namespace

extern "C" {

void strandnet_forget(char* message) {
  free(message);
}

// Seeds the random numbers of the CPU, and of all GPUs too if `everywhere`, which starts CUDA.
char* strandnet_seed(int64_t seed, bool everywhere) {
  return message_of([&] {
    if (everywhere) {
      at::manual_seed(static_cast<uint64_t>(seed));
      return;
    }
    at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
    const std::lock_guard<std::mutex> guard(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed));
  });
}

// Whether GPUs may round the factors of f32 products to ten bits (TF32). Without a word from us cuDNN does.
char* strandnet_allow_tf32(bool allowed) {
  return message_of([&] {
    const auto precision = allowed ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
    for (const auto operation : OPERATIONS) {
      at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, operation, precision);
    }
  });
}

bool strandnet_allows_tf32() {
  for (const auto operation : OPERATIONS) {
    if (at::globalContext().float32Precision(at::Float32Backend::CUDA, operation) != at::Float32Precision::IEEE) {
      return true;
    }
  }
  return false;
}

}
