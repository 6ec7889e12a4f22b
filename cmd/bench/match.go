package main

func match(o options) error { return nil }
