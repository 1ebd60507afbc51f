// SPDX-License-Identifier: MIT
#pragma once

#include <cassert>
#include <cstddef>
#include <vector>

namespace vramswap {

/// First in, first out, with room that is taken once.
template<class Item>
class FixedQueue {
public:
    explicit FixedQueue(std::size_t room) : items_(room) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t room() const noexcept { return items_.size() - size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// There must be room.
    void push(const Item& item) noexcept {
        assert(room() != 0);
        items_[(first_ + size_) % items_.size()] = item;
        ++size_;
    }

    /// The oldest. The queue must not be empty.
    [[nodiscard]] Item& front() noexcept {
        assert(!empty());
        return items_[first_];
    }

    void pop() noexcept {
        assert(!empty());
        first_ = (first_ + 1) % items_.size();
        --size_;
    }

private:
    std::vector<Item> items_;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

} // namespace vramswap
