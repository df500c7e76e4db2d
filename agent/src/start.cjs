// Last, when all of the above is defined.
quietly(() => {
  if (isManagedWorker()) start();
});
