console.log("good");
